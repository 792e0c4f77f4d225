import { quote } from "../../core/errors.ts";
/**
 * Reader of Python pickles (protocol 2) as data: a closed list of opcodes, those that torch.save writes for
 * a dictionary of tensors, and a closed list of names. Nothing that a pickle says is ever run.
 * https://docs.python.org/3/library/pickletools.html
 *
 * Dictionaries become Maps, lists and tuples arrays, None null.
 */
import { fileInvalid } from "./tensor_file.ts";

export interface PickleRules {
  /**
   * What the pickle may name, by "module name". Functions among it are what it may call, with the list of
   * their arguments, which they check.
   */
  readonly globals: ReadonlyMap<string, unknown>;
  /** What a persistent id stands for. */
  readonly persistent: (id: unknown) => unknown;
}

/** A dictionary is written in batches of 1000 pairs, so this is far from what any honest file needs. */
const MAX_STACK = 100_000;

/** A value of a pickle in a message. Its lists may be endless, as they may hold themselves. */
export function shown(value: unknown): string {
  return typeof value === "object" && value !== null ? "an object" : quote(value);
}

/** The value of a pickle, which must end with the bytes. Throws pytorch_invalid, naming opcode or global. */
export function readPickle(bytes: Uint8Array, file: string, { globals, persistent }: PickleRules): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: unknown[] = [];
  /** Heights of the stack at the open marks. */
  const marks: number[] = [];
  const memo = new Map<number, unknown>();
  let at = 0;

  function fail(problem: string): never {
    throw fileInvalid("pytorch_invalid", file, `has a pickle that ${problem} (before byte ${at})`);
  }

  /** The place of the next bytes, which are then done with. */
  function take(length: number): number {
    if (at + length > bytes.length) fail("ends in the middle of an opcode");
    at += length;
    return at - length;
  }

  function takeText(length: number): string {
    const start = take(length);
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes.subarray(start, start + length));
  }

  function takeLine(): string {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) fail("ends in the middle of a name");
    return takeText(end + 1 - at).slice(0, -1);
  }

  function takeLong(): number {
    const length = bytes[take(1)]!;
    if (length > 8) fail(`holds an integer of ${length} bytes, more than 8`);
    const start = take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[start + i]!);
    const signed = Number(BigInt.asIntN(8 * length, value));
    return Number.isSafeInteger(signed) ? signed : fail("holds an integer above 2^53");
  }

  function push(value: unknown): void {
    if (stack.length >= MAX_STACK) fail(`puts more than ${MAX_STACK} values on its stack`);
    stack.push(value);
  }

  function pop(): unknown {
    if (stack.length <= (marks.at(-1) ?? 0)) fail("takes a value that is not there");
    return stack.pop();
  }

  function top(): unknown {
    push(pop());
    return stack.at(-1);
  }

  function popToMark(): unknown[] {
    return stack.splice(marks.pop() ?? fail("closes a mark that is not there"));
  }

  function recall(index: number): unknown {
    return memo.has(index) ? memo.get(index) : fail(`asks for memo ${index}, which was never set`);
  }

  function lookUp(name: string): unknown {
    if (globals.has(name)) return globals.get(name);
    return fail(
      `names ${quote(name)}, which no file of weights needs and which could run any code in Python. ` +
        `Known are ${[...globals.keys()].join(", ")}. If you trust the file, load it in Python and save it as safetensors`,
    );
  }

  function append(values: readonly unknown[]): void {
    const list = top();
    if (!Array.isArray(list)) fail("appends to what is no list");
    for (const value of values) list.push(value);
  }

  function setItems(pairs: readonly unknown[]): void {
    const dictionary = top();
    if (!(dictionary instanceof Map) || pairs.length % 2 !== 0) fail("sets items of what is no dictionary");
    for (let i = 0; i < pairs.length; i += 2) {
      if (dictionary.has(pairs[i])) fail(`sets ${shown(pairs[i])} twice`);
      dictionary.set(pairs[i], pairs[i + 1]);
    }
  }

  function call(): unknown {
    const [args, callee] = [pop(), pop()];
    if (typeof callee !== "function" || !Array.isArray(args)) fail("calls what cannot be called");
    return callee(args);
  }

  for (;;) {
    const code = bytes[take(1)]!;
    switch (String.fromCharCode(code)) {
      case "\x80": {
        const protocol = bytes[take(1)]!;
        if (protocol !== 2) fail(`has protocol ${protocol}; torch.save writes 2`);
        break;
      }
      case ".":
        if (stack.length !== 1 || marks.length > 0) fail(`ends with ${stack.length} values instead of 1`);
        if (at !== bytes.length) fail(`ends ${bytes.length - at} bytes before the bytes do`);
        return stack[0];
      case "c":
        push(lookUp(`${takeLine()} ${takeLine()}`));
        break;
      case "N":
        push(null);
        break;
      case "\x88":
        push(true);
        break;
      case "\x89":
        push(false);
        break;
      case "K":
        push(bytes[take(1)]);
        break;
      case "M":
        push(view.getUint16(take(2), true));
        break;
      case "J":
        push(view.getInt32(take(4), true));
        break;
      case "\x8a":
        push(takeLong());
        break;
      case "G":
        push(view.getFloat64(take(8)));
        break;
      case "X":
        push(takeText(view.getUint32(take(4), true)));
        break;
      case "}":
        push(new Map());
        break;
      case "]":
      case ")":
        push([]);
        break;
      case "(":
        marks.push(stack.length);
        break;
      case "t":
        push(popToMark());
        break;
      case "\x85":
        push([pop()]);
        break;
      case "\x86":
        push([pop(), pop()].reverse());
        break;
      case "\x87":
        push([pop(), pop(), pop()].reverse());
        break;
      case "a":
        append([pop()]);
        break;
      case "e":
        append(popToMark());
        break;
      case "s":
        setItems([pop(), pop()].reverse());
        break;
      case "u":
        setItems(popToMark());
        break;
      case "q":
        memo.set(bytes[take(1)]!, top());
        break;
      case "r":
        memo.set(view.getUint32(take(4), true), top());
        break;
      case "h":
        push(recall(bytes[take(1)]!));
        break;
      case "j":
        push(recall(view.getUint32(take(4), true)));
        break;
      case "Q":
        push(persistent(pop()));
        break;
      case "R":
        push(call());
        break;
      case "b":
        // The attributes of a dictionary, such as a state_dict's _metadata, say nothing about its tensors.
        pop();
        if (!(top() instanceof Map)) fail("sets attributes of what is no dictionary");
        break;
      default:
        fail(`has the opcode 0x${code.toString(16).padStart(2, "0")}, which no dictionary of tensors needs`);
    }
  }
}
