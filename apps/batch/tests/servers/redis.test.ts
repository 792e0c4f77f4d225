import { redis } from "../support/queues.ts";
import { testServers } from "./test_servers.ts";

testServers(redis);
