const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
worker.onerror = ({ message }) => (globalThis.outcome = `the worker failed: ${message}`);
worker.onmessage = ({ data }) => (globalThis.outcome = data);
