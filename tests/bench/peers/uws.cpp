/*
 * uws.cpp - echo, and a room at /room, by uWebSockets, as its own examples do it.
 */
#include "uWS.h"
#include <cstdlib>
#include <string>

using Socket = uWS::WebSocket<uWS::SERVER>;

static bool in_room(Socket *ws)
{
	return ws->getUserData() != nullptr;
}

int main(int argc, char **argv)
{
	uWS::Hub hub;
	uS::TLS::Context tls;

	hub.onConnection([&hub](Socket *ws, uWS::HttpRequest request) {
		bool room = request.getUrl().toString().rfind("/room", 0) == 0;

		ws->setUserData(room ? &hub : nullptr);
	});
	hub.onMessage([&hub](Socket *ws, char *message, size_t len, uWS::OpCode opcode) {
		if (in_room(ws))
			hub.getDefaultGroup<uWS::SERVER>().broadcast(message, len, opcode);
		else
			ws->send(message, len, opcode);
	});
	if (argc > 3)
		tls = uS::TLS::createContext(argv[2], argv[3]);
	if (argc < 2 || !hub.listen("127.0.0.1", std::atoi(argv[1]), tls))
		return 1;
	hub.run();
	return 0;
}
