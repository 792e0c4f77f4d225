/** Small helpers for elements: texts go in as text, never as HTML. */

/** The element of an id in index.html. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`there is no element #${id}`);
  return found as unknown as T;
}

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

function filled<T extends Element>(
  element: T,
  attributes: Attributes,
  children: readonly (Node | string)[],
): T {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

/** @example html("button", { type: "button", class: "quiet" }, "Copy") */
export function html<N extends keyof HTMLElementTagNameMap>(
  name: N,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[N] {
  return filled(document.createElement(name), attributes, children);
}

/** @example svg("path", { d: "M0 0L1 1" }) */
export function svg<N extends keyof SVGElementTagNameMap>(
  name: N,
  attributes: Attributes = {},
  ...children: readonly Node[]
): SVGElementTagNameMap[N] {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

/** A drawing of the sheet in index.html. */
export function icon(name: string): SVGSVGElement {
  const drawing = svg("svg", { class: "icon", "aria-hidden": "true" });
  drawing.append(svg("use", { href: `#icon-${name}` }));
  return drawing;
}

/** Saves content as a file of the visitor's. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  html("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** Copies a text; pages without a certificate, or without leave, have no clipboard but the old way. */
export async function copyText(text: string): Promise<void> {
  try {
    return await navigator.clipboard.writeText(text);
  } catch {
    // The old way.
  }
  const field = html("textarea", { class: "away" });
  field.value = text;
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}
