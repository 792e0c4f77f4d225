/**
 * One black-box suite against the handler without a port, and against the built program in every runtime of
 * FLORENCE2_RUNTIMES (NAME=COMMAND, separated by semicolons; `npm run runtimes --workspace apps/server` sets it),
 * by default the Node that runs the tests.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { openService, type TestService } from "../support/service.ts";
import { type StartedServer, startServer, stopServer } from "../support/started_server.ts";
import { contract } from "./cases.ts";

describe("the handler", () => {
  let service: TestService;
  beforeAll(async () => {
    service = await openService();
  });
  afterAll(() => service.stop());
  for (const [name, run] of contract) it(name, () => run((path, init) => service.request(path, init)));
});

const runtimes = (process.env.FLORENCE2_RUNTIMES ?? `node=${process.execPath}`).split(";").map((entry) => {
  const [name, command] = entry.split(/=(.*)/s) as [string, string];
  return { name, command: command.split(" ") };
});

for (const { name, command } of runtimes) {
  describe(`the program in ${name}`, () => {
    let server: StartedServer;
    beforeAll(async () => {
      server = await startServer(command);
    });
    afterAll(() => stopServer(server));
    for (const [title, run] of contract)
      it(title, () => run((path, init) => fetch(`${server.url}${path}`, init)));
  });
}
