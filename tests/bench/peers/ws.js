"use strict";
const { WebSocketServer } = require("ws");

const rooms = new Map();

function serveRoom(ws, members) {
	members.add(ws);
	ws.on("message", (data, binary) => members.forEach((m) => m.send(data, { binary })));
	ws.on("close", () => members.delete(ws));
}

const server = new WebSocketServer({
	host: "127.0.0.1",
	port: Number(process.argv[2]),
	backlog: 4096,
	perMessageDeflate: { zlibDeflateOptions: { level: 1 }, threshold: 64 },
});
server.on("connection", (ws, request) => {
	ws.on("error", () => {});
	if (!request.url.startsWith("/room")) {
		ws.on("message", (data, binary) => ws.send(data, { binary }));
		return;
	}
	if (!rooms.has(request.url))
		rooms.set(request.url, new Set());
	serveRoom(ws, rooms.get(request.url));
});
