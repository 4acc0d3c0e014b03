// What a client sees of the five endpoints, by the API that browsers and Node's ws share.
// five(open, base) resolves to a transcript; open(url) makes a WebSocket.

class Peer {
	constructor(ws) {
		this.events = [];
		this.waiting = [];
		this.ws = ws;
		ws.binaryType = "arraybuffer";
		ws.onopen = () => this.put("open");
		ws.onmessage = (e) => this.put(typeof e.data === "string"
			? e.data : Array.from(new Uint8Array(e.data)));
		ws.onclose = (e) => this.put({ close: e.code });
		ws.onerror = () => this.put("error");
	}

	put(event) {
		const next = this.waiting.shift();
		if (next)
			next(event);
		else
			this.events.push(event);
	}

	next() {
		return this.events.length
			? Promise.resolve(this.events.shift())
			: new Promise((resolve) => this.waiting.push(resolve));
	}

	static async open(ws) {
		const peer = new Peer(ws);
		const event = await peer.next();
		if (event !== "open")
			throw new Error("not open but " + JSON.stringify(event));
		return peer;
	}

	async say(...messages) {
		const answers = [];
		for (const message of messages) {
			this.ws.send(message);
			answers.push(await this.next());
		}
		return answers;
	}

	close() {
		this.ws.close(1000, "done");
		return this.next();
	}
}

async function five(open, base) {
	const at = (path) => Peer.open(open(base + path));
	const seen = {};

	const echo = await at("/ws");
	seen.extensions = echo.ws.extensions;
	seen.echo = await echo.say("hi", "", "grüß \u2603 \u{1f600}", new Uint8Array([0, 128, 255]));
	const long = "like the one before, ".repeat(5000);
	seen.long = (await echo.say(long, long)).map((x) => x === "Echo: " + long);
	seen.closed = await echo.close();

	const [first, second] = [await at("/chat"), await at("/chat")];
	first.ws.send("one");
	seen.chat = [await first.next(), await second.next()];
	second.ws.send("two");
	seen.chat.push(await first.next(), await second.next());
	await first.close();
	await second.close();

	const notified = await at("/notifications");
	seen.notifications = JSON.parse(await notified.next());
	notified.ws.send(JSON.stringify({ content: "from a client" }));
	await notified.close();

	const once = await at("/once");
	seen.once = [await once.next(), await once.next()];

	const safe = await at("/safe");
	safe.ws.send("dropped");
	safe.ws.send(new Uint8Array(100));
	seen.safe = await safe.close();
	return seen;
}

if (typeof module !== "undefined")
	module.exports = five;
