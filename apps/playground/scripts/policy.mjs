/**
 * The page's Content-Security-Policy. Scripts and styles are files of the page; WebAssembly and workers are the CPU
 * engine's; images and models come from wherever the visitor says.
 */
export const POLICY = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self' blob:",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "media-src blob:",
  "manifest-src 'self'",
  "connect-src 'self' blob: https: http://127.0.0.1:* http://localhost:*",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
