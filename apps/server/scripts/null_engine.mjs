/** An engine without a model, for measuring the server alone: it decodes nothing and answers after a millisecond. */
export const nullEngine = {
  device: { kind: "cpu", name: "none" },
  memoryBytes: 0,
  async encode(file) {
    await pause(1);
    // The signature of PNG; whatever else is sent counts as broken.
    if (file[0] !== 0x89 || file.length < 1000)
      throw Object.assign(new Error("The image is cut off."), {
        name: "Florence2Error",
        code: "image_corrupt",
      });
    return { width: 192, height: 192, tokens: 65, bytes: 33_280, dispose() {} };
  },
  check() {},
  async run() {
    await pause(1);
    return answered;
  },
  async *stream() {
    for (const text of ["A boat ", "and a sign."]) {
      await pause(1);
      yield { text };
    }
    yield { text: "", answered };
  },
  dispose() {},
};

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const answered = {
  promptTokens: 73,
  imageTokens: 65,
  sequences: [
    {
      answer: "A boat and a sign.",
      text: "A boat and a sign.",
      objects: [],
      tokens: [],
      tokenCount: 8,
      score: -0.1,
      finishReason: "stop",
    },
  ],
};
