/** Writing XML, and reading as much of it as the formats here use: no namespaces, no declarations of types. */

import { Florence2Error } from "../../core/errors.ts";

/** Attributes of an element; undefined ones are left out. */
type Attributes = Readonly<Record<string, string | number | undefined>>;

/**
 * An element as text; children are XML already: `element("name", { id: 1 }, escapeXml("a & b"))` →
 * `<name id="1">a &amp; b</name>`.
 */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escapeXml(String(value))}"`],
  );
  const head = `<${name}${written.join("")}`;
  return children.length === 0 ? `${head}/>` : `${head}>${children.join("")}</${name}>`;
}

/** Characters that XML has no way to write become U+FFFD. */
export function escapeXml(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

/** An element that was read. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: readonly XmlElement[];
  /** The text directly in it. */
  readonly text: string;
}

const MARKUP =
  /<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<[?!][^>]*>|<(\/?)([^\s/>]+)((?:"[^"]*"|'[^']*'|[^>"'])*?)(\/?)>/g;

/**
 * Reads the root element of an XML text.
 *
 * @throws {Florence2Error} `data_invalid` if elements do not close where they should, or there is none
 */
export function parseXml(text: string, file: string): XmlElement {
  type Open = { name: string; attributes: Record<string, string>; children: XmlElement[]; text: string };
  const document: Open = { name: "", attributes: {}, children: [], text: "" };
  const open: Open[] = [document];
  let done = 0;
  for (const match of text.matchAll(MARKUP)) {
    const [markup, data, closing, name = "", attributes = "", empty] = match;
    const top = open.at(-1)!;
    top.text += unescapeXml(text.slice(done, match.index)) + (data ?? "");
    done = match.index + markup.length;
    if (!name) continue;
    if (closing) {
      if (top.name !== name || open.length === 1) throw invalid(file, text, match.index, `</${name}>`);
      open.pop();
      continue;
    }
    const child: Open = { name, attributes: parseAttributes(attributes), children: [], text: "" };
    top.children.push(child);
    if (!empty) open.push(child);
  }
  const [root] = document.children;
  if (!root || open.length > 1) throw invalid(file, text, text.length, "the end of the file");
  return root;
}

/** The first child of a name. */
export function childOf({ children }: XmlElement, name: string): XmlElement | undefined {
  return children.find((child) => child.name === name);
}

/** All children of a name. */
export function childrenOf({ children }: XmlElement, name: string): XmlElement[] {
  return children.filter((child) => child.name === name);
}

function parseAttributes(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [, name, double, single] of text.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    found[name!] = unescapeXml(double ?? single!);
  }
  return found;
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescapeXml(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#([0-9]+)|(\w+));/gi, (entity, hex, decimal, name) => {
    if (name) return ENTITIES[name] ?? entity;
    const code = hex ? Number.parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : entity;
  });
}

function invalid(file: string, text: string, at: number, found: string): Florence2Error {
  const line = text.slice(0, at).split("\n").length;
  const message = `${file}, line ${line}: ${found} does not belong there; this is not well-formed XML.`;
  return new Florence2Error("data_invalid", message, { file, line });
}
