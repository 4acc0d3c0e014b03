// node_client.js BASE yes|no: Node's ws at the five endpoints, with or without compression.
const WebSocket = require("ws");
const five = require("./five.js");

const [, , base, compress] = process.argv;
const perMessageDeflate = compress === "yes" ? { threshold: 0 } : false;

five((url) => new WebSocket(url, { perMessageDeflate }), base).then(
	(seen) => console.log(JSON.stringify(seen)),
	(error) => { console.error(error); process.exit(1); });
