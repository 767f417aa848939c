/* Publishes the events of a slot with libpq; README.md has the reasons. */
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libpq-fe.h>

static PGconn *stream;
static uint64_t safe; /* all events up to this LSN are published */

static void
fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, PQerrorMessage(stream));
	exit(1);
}

static uint64_t
read_lsn(const char *bytes)
{
	uint64_t	lsn = 0;

	for (int i = 0; i < 8; i++)
		lsn = lsn << 8 | (unsigned char) bytes[i];
	return lsn;
}

/* Standby status update: 'r', written, flushed and applied LSN, time, no reply wanted. */
static void
acknowledge(void)
{
	char		update[34] = {'r'};

	for (int i = 0; i < 24; i++)
		update[1 + i] = (char) (safe >> (56 - 8 * (i % 8)));
	if (PQputCopyData(stream, update, sizeof update) != 1 || PQflush(stream) != 0)
		fail("acknowledging");
}

static void
start_streaming(void)
{
	const char *keywords[] = {"dbname", "replication", NULL};
	const char *values[] = {getenv("DOMEV_CONNECTION"), "database", NULL};
	const char *shard = getenv("DOMEV_SHARD");
	char		options[50] = "";
	char		command[200];
	PGresult   *result;

	stream = PQconnectdbParams(keywords, values, 1);
	if (PQstatus(stream) != CONNECTION_OK)
		fail("connecting");
	if (shard != NULL)
		snprintf(options, sizeof options, " (shard '%s')", shard);
	snprintf(command, sizeof command, "START_REPLICATION SLOT \"%s\" LOGICAL 0/0%s", getenv("DOMEV_SLOT"), options);
	result = PQexec(stream, command);
	if (PQresultStatus(result) != PGRES_COPY_BOTH)
		fail("starting");
	PQclear(result);
}

static int
connect_broker(void)
{
	char	   *host = strdup(getenv("DOMEV_BROKER"));
	char	   *port = strrchr(host, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *address = NULL;
	int			broker = -1;

	*port++ = '\0';
	if (getaddrinfo(host, port, &hints, &address) == 0)
	{
		broker = socket(address->ai_family, SOCK_STREAM, 0);
		if (connect(broker, address->ai_addr, address->ai_addrlen) != 0)
		{
			close(broker);
			broker = -1;
		}
		freeaddrinfo(address);
	}
	free(host);
	return broker;
}

/* Sends an event and gets the answer, "ok\n" or "no\n"; false if the connection broke. */
static int
ask(int broker, const char *event, int length, char answer[3])
{
	struct pollfd readable = {.fd = broker, .events = POLLIN};

	if (dprintf(broker, "%.*s\n", length, event) < 0)
		return 0;
	while (poll(&readable, 1, 1000) == 0)
		acknowledge();			/* nothing new, but still here: else the server ends the connection */
	return recv(broker, answer, 3, MSG_WAITALL) == 3;
}

/* Returns when the broker has the event. */
static void
publish(const char *event, int length)
{
	static int	broker = -1;
	char		answer[3];

	for (;;)
	{
		if (broker < 0)
			broker = connect_broker();
		if (broker < 0 || !ask(broker, event, length, answer))
		{
			close(broker);		/* whether the broker has the event is not known */
			broker = -1;
			usleep(100000);
		}
		else if (memcmp(answer, "ok\n", 3) == 0)
			return;
	}
}

int
main(void)
{
	char	   *data;
	int			length;

	signal(SIGPIPE, SIG_IGN);
	start_streaming();
	while ((length = PQgetCopyData(stream, &data, 0)) > 0)
	{
		uint64_t	lsn = safe;

		if (data[0] == 'k')		/* the server's position, its time, whether it wants a reply */
			lsn = read_lsn(data + 1);
		else if (data[0] == 'w')	/* LSN, the server's position, its time, and the event */
		{
			publish(data + 25, length - 25);
			lsn = read_lsn(data + 1);
		}
		if (lsn > safe)
			safe = lsn;
		acknowledge();
		PQfreemem(data);
	}
	fail("the stream has ended");
}
