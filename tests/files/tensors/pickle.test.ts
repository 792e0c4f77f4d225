import { describe, expect, it } from "vitest";
import { readPickle } from "../../../files/tensors/pickle.ts";
import { rejects } from "../../support/open_pytorch.ts";
import { pickleBytes, pickledInteger, pickledText, pytorchBytes } from "../../support/pytorch_bytes.ts";

describe("a pickle", () => {
  const refused = (pickle: Uint8Array, ...patterns: (string | RegExp)[]) =>
    rejects(pytorchBytes(pickle), ...patterns);

  it("names code to run", async () => {
    for (const global of [
      "os system",
      "builtins eval",
      "torch.hub load",
      "collections Counter",
      "torch Tensor",
    ]) {
      const [module, name] = global.split(" ");
      await refused(pickleBytes(`c${module}\n${name}\n`, pickledText("echo"), "\x85R"), `names "${global}"`);
    }
    await refused(pickleBytes("c__proto__\nconstructor\n"), 'names "__proto__ constructor"');
  });

  it.each([
    ["i", "INST", "(ios\nsystem\n"],
    ["o", "OBJ", "(ctorch._utils\n_rebuild_tensor_v2\no"],
    ["\x81", "NEWOBJ", "ccollections\nOrderedDict\n)\x81"],
    ["\x82", "EXT1", "\x82\x01"],
    ["\x93", "STACK_GLOBAL", "\x93"],
    ["2", "DUP", "N2"],
    ["P", "PERSID", "P0\n"],
    ["\xff", "no opcode at all", "\xff"],
  ])("has the opcode %j (%s)", async (opcode, _, code) => {
    await refused(pickleBytes(code), `opcode 0x${opcode.charCodeAt(0).toString(16)}`);
  });

  it.each([
    ["ends early", Uint8Array.of(0x80, 2), "ends in the middle"],
    ["has a text that ends early", pickleBytes("X", [255, 255, 255, 127]), "ends in the middle"],
    ["has a name without an end", pickleBytes("ctorch"), "in the middle of a name"],
    ["takes from an empty stack", pickleBytes("R"), "is not there"],
    ["takes from below a mark", pickleBytes("N(\x85"), "is not there"],
    ["closes no mark", pickleBytes("t"), "a mark that is not there"],
    ["leaves a mark open", pickleBytes("N("), "instead of 1"],
    ["leaves two values", pickleBytes("NN"), "ends with 2 values"],
    ["goes on after its end", Uint8Array.of(...pickleBytes("N"), 78), "ends 1 bytes before"],
    ["asks for what it never kept", pickleBytes("h\x07"), "memo 7"],
    ["calls a text", pickleBytes(pickledText("f"), ")R"), "cannot be called"],
    ["calls without a list", pickleBytes("ccollections\nOrderedDict\nNR"), "cannot be called"],
    ["fills an OrderedDict with a list", pickleBytes("ccollections\nOrderedDict\n]\x85R"), "Python 2"],
    ["appends to None", pickleBytes("NNa"), "no list"],
    ["sets items of a list", pickleBytes("]NNs"), "no dictionary"],
    ["sets half of a pair", pickleBytes("}(Nu"), "no dictionary"],
    ["sets attributes of a list", pickleBytes("]Nb"), "no dictionary"],
    ["sets a key twice", pickleBytes("}(", pickledText("a"), "N", pickledText("a"), "Nu"), '"a" twice'],
    ["holds an integer of 9 bytes", pickleBytes("\x8a\x09"), "9 bytes"],
    ["holds an integer above 2^53", pickleBytes(pickledInteger(2 ** 60)), "2^53"],
    ["piles up values", pickleBytes("N".repeat(100_001)), "100000 values"],
    ["is no dictionary", pickleBytes("N"), "no dictionary of tensors"],
    ["holds a number", pickleBytes("}", pickledText("epoch"), "K\x03s"), '"epoch"'],
    ["has a key that is no text", pickleBytes("}K\x03Ns"), "which is no tensor"],
    ["nests without end", pickleBytes("}", "]".repeat(90_000), "a".repeat(89_999), "Ns"), "an object"],
    ["is a list that holds itself", pickleBytes("}]q\x01h\x01aNs"), "an object"],
  ])("%s", async (_, pickle, pattern) => {
    await refused(pickle, pattern);
  });

  it("reads numbers of every width", () => {
    const numbers = [
      "K\xff",
      "M\x00\x01",
      "J\xfe\xff\xff\xff",
      "\x8a\x00",
      "\x8a\x02\x00\xff",
      "G\xbf\xf8\0\0\0\0\0\0",
    ];
    const pickle = pickleBytes("(", ...numbers, pickledInteger(-(2 ** 40)), "t");
    const rules = { globals: new Map(), persistent: () => null };
    expect(readPickle(pickle, "w", rules)).toEqual([255, 256, -2, 0, -256, -1.5, -(2 ** 40)]);
  });
});
