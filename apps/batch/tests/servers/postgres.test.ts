import { postgres } from "../support/queues.ts";
import { testServers } from "./test_servers.ts";

testServers(postgres);
