// How does a Go program with pglogrepl publish the events of domev?  Sends each event to the broker and acknowledges what the broker
// has.  Any error ends it; whoever runs it starts it again, and it goes on behind the last acknowledged transaction.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

var (
	conn    *pgconn.PgConn
	broker  net.Conn
	answers = make(chan string)
	safe    pglogrepl.LSN // the broker has all events up to here
	status  = time.NewTicker(time.Second)
)

func main() {
	config, err := pgconn.ParseConfig(os.Getenv("DOMEV_CONNECTION"))
	check(err)
	config.RuntimeParams["replication"] = "database"
	conn, err = pgconn.ConnectConfig(context.Background(), config)
	check(err)
	broker, err = net.Dial("tcp", os.Getenv("DOMEV_BROKER"))
	check(err)
	go readAnswers()
	// The slot's name goes into the command as it is.
	slot := `"` + os.Getenv("DOMEV_SLOT") + `"`
	check(pglogrepl.StartReplication(context.Background(), conn, slot, 0, pglogrepl.StartReplicationOptions{}))
	for {
		receive()
	}
}

// Takes one message of the server, if one comes within a second, and sends a status each second.
func receive() {
	second, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	message, err := conn.ReceiveMessage(second)
	if !pgconn.Timeout(err) {
		check(err)
	}
	if data, ok := message.(*pgproto3.CopyData); ok && data.Data[0] == pglogrepl.XLogDataByteID {
		event, err := pglogrepl.ParseXLogData(data.Data[1:])
		check(err)
		publish(event.WALData)
		// The events before the last one of a transaction have positions of their own, which may lie behind us.
		safe = max(safe, event.WALStart)
	} else if ok && data.Data[0] == pglogrepl.PrimaryKeepaliveMessageByteID {
		keepalive, err := pglogrepl.ParsePrimaryKeepaliveMessage(data.Data[1:])
		check(err)
		safe = max(safe, keepalive.ServerWALEnd) // all that came before it is published
		if keepalive.ReplyRequested {
			acknowledge()
		}
	}
	select {
	case <-status.C:
		acknowledge()
	default:
	}
}

// Returns when the broker has the event.  While that takes its time the server still gets its status, or it would take us for dead.
func publish(event []byte) {
	for answer := ""; answer != "ok"; {
		_, err := fmt.Fprintf(broker, "%s\n", event)
		check(err)
		for answer = ""; answer == ""; {
			select {
			case answer = <-answers:
			case <-status.C:
				acknowledge()
			}
		}
		if answer == "no" {
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func readAnswers() {
	lines := bufio.NewScanner(broker)
	for lines.Scan() {
		answers <- lines.Text()
	}
	log.Fatal("the broker is gone: ", lines.Err())
}

// All three positions are given: pglogrepl takes the first for those that are left out, and many programs give the first as received.
func acknowledge() {
	check(pglogrepl.SendStandbyStatusUpdate(context.Background(), conn,
		pglogrepl.StandbyStatusUpdate{WALWritePosition: safe, WALFlushPosition: safe, WALApplyPosition: safe}))
}

func check(err error) {
	if err != nil {
		log.Fatal(fmt.Errorf("publisher: %w", err))
	}
}
