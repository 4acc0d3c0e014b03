"use strict";
const { readFileSync } = require("fs");
const { WebSocketServer } = require("ws");

const rooms = new Map();

function serveRoom(ws, members) {
	members.add(ws);
	ws.on("message", (data, binary) => members.forEach((m) => m.send(data, { binary })));
	ws.on("close", () => members.delete(ws));
}

const [port, certificate, key] = process.argv.slice(2);
const http = certificate
	? require("https").createServer({ cert: readFileSync(certificate), key: readFileSync(key) })
	: require("http").createServer();

const server = new WebSocketServer({
	server: http,
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
http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
