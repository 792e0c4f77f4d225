import { redis } from "../support/queues.ts";
import { testFaults } from "./test_faults.ts";

testFaults(redis);
