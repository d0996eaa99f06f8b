// @rudderstack/rudder-sdk-node: says what stdin asks for; prints the reasons of what was not delivered.
import { text } from "node:stream/consumers";
import Analytics from "@rudderstack/rudder-sdk-node";

const { url, key, calls } = JSON.parse(await text(process.stdin));
const failures = [];
const errorHandler = (error) => failures.push(String(error));
const client = new Analytics(key, { dataPlaneUrl: url, errorHandler, logLevel: "none" });
for (const { type, ...message } of calls) client[type](message);
await client.flush();
console.log(JSON.stringify(failures));
process.exit(0);
