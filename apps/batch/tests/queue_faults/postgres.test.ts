import { postgres } from "../support/queues.ts";
import { testFaults } from "./test_faults.ts";

testFaults(postgres);
