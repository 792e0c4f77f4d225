/** Imported before a program: stops its process when it has written so many lines as STOP_AT_LINE says, until it is told to continue. */
const write = process.stdout.write.bind(process.stdout);
let lines = 0;
process.stdout.write = (text, ...rest) => {
  const written = write(text, ...rest);
  lines += String(text).split("\n").length - 1;
  if (lines === Number(process.env.STOP_AT_LINE)) process.kill(process.pid, "SIGSTOP");
  return written;
};
