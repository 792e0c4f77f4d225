const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem; }
summary { cursor: pointer; }
summary b { font-family: ui-monospace, monospace; }
pre { overflow: auto; font-size: .85rem; }`;

/** Reads the document of this server and writes it out. */
const SCRIPT = `
const part = (name, text, parent) => { const node = document.createElement(name); node.textContent = text; parent.append(node); return node; };
async function load() {
  const { info, paths, components } = await (await fetch("openapi.json")).json();
  const main = document.querySelector("main");
  main.replaceChildren();
  part("h1", info.title + " " + info.version, main);
  part("p", info.description, main);
  for (const [path, methods] of Object.entries(paths)) for (const [method, route] of Object.entries(methods)) {
    const box = part("details", "", main);
    const line = part("summary", "", box);
    part("b", method.toUpperCase() + " " + path, line);
    line.append(" " + (route.summary ?? ""));
    for (const [title, content] of [["Request", route.requestBody?.content], ["Answer", route.responses?.[200]?.content]]) {
      if (!content || Object.keys(content).length === 0) continue;
      part("h3", title, box);
      part("pre", JSON.stringify(content, null, 2), box);
    }
  }
  part("h2", "Schemas", main);
  for (const [name, schema] of Object.entries(components?.schemas ?? {})) {
    const box = part("details", "", main);
    part("b", name, part("summary", "", box));
    part("pre", JSON.stringify(schema, null, 2), box);
  }
}
load();`;

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>florence2-server</title><style>${STYLE}</style></head>
<body><main></main><script>${SCRIPT}</script></body></html>`;

const hash = async (text: string) => {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${Buffer.from(digest).toString("base64")}'`;
};

/** A page that renders /openapi.json, without anything from elsewhere. */
export async function docsPage(): Promise<Response> {
  const policy = `default-src 'none'; connect-src 'self'; style-src ${await hash(STYLE)}; script-src ${await hash(SCRIPT)}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return new Response(PAGE, {
    headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy },
  });
}
