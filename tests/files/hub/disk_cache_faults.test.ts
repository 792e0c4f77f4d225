import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { florenceError } from "../../support/errors.ts";
import {
  cacheIn,
  contentOf,
  expectedListing,
  faultsIn,
  HURRY,
  listing,
  newFolder,
} from "../../support/hub_cache.ts";
import { files, persistenceFor, ROWS } from "../../support/hub_faults.ts";
import { type Fault, faultAt, type HubServer, sha256Of, startHub } from "../../support/hub_server.ts";

describe("faults of the network", () => {
  let hub: HubServer;
  beforeAll(async () => {
    hub = await startHub(files);
  });
  beforeEach(() => {
    hub.faults = [];
    hub.requests.length = 0;
  });
  afterAll(() => hub.close());

  const fetchAll = async (folder: string, persistence = HURRY) => {
    const cache = cacheIn(folder, hub, { persistence });
    for (const [name, bytes] of Object.entries(files))
      expect(sha256Of(await contentOf(cache, name)), name).toBe(sha256Of(bytes));
  };

  it("are at least fifty", () => expect(ROWS.length).toBeGreaterThanOrEqual(50));

  it.each(ROWS)("%s (%s, %d times)", async (what, target, times, fault, outcome) => {
    const folder = await newFolder();
    let hits = 0;
    const counted: Fault = (...all) => {
      hits++;
      return fault(...all);
    };
    hub.faults = [faultAt(target, times, counted)];
    const fetched = fetchAll(folder, persistenceFor(what));
    if (outcome === "works") await fetched;
    else await expect(fetched).rejects.toEqual(florenceError(outcome, "florence/tiny"));
    expect(hub.requests.length).toBeLessThan(50);
    expect(hits).toBeGreaterThan(0);
    expect(await faultsIn(folder)).toEqual([]);

    hub.faults = [];
    await fetchAll(folder);
    expect(await listing(folder)).toEqual(expectedListing(files, hub.commit));
  });
});
