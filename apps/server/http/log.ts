/** Writes entries of the log, one a line. */
export type Log = (entry: Readonly<Record<string, unknown>>) => void;

/** @param write takes one line without its end */
export function createLog(format: "json" | "text", write: (line: string) => void): Log {
  return (entry) => {
    const line = { time: new Date().toISOString(), level: "info", ...entry };
    // JSON escapes line ends and control characters: no value can forge a line.
    if (format === "json") return write(JSON.stringify(line));
    const { time, level, ...rest } = line;
    const fields = Object.entries(rest)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
    write([time, level, ...fields].join(" "));
  };
}

/** An error for the log: its message, cut, without its stack. */
export function describeCause(cause: unknown): string {
  const { name, message } = (typeof cause === "object" && cause !== null ? cause : {}) as Partial<Error>;
  return (message === undefined ? String(cause) : `${name ?? "Error"}: ${message}`).slice(0, 500);
}
