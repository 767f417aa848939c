// Which values of Go does domev.emit take from pgx?  Prints a row for each, as the table of the README has it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/big"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const view = `domev_event."order.placed"`

// What a value is given as: the column in which it is kept, and the statement that takes it.
var given = map[string][2]string{
	"id, $1":             {"aggregate_id", "SELECT domev.emit('order.placed', $1)"},
	"id, $1::bigint":     {"aggregate_id", "SELECT domev.emit('order.placed', $1::bigint)"},
	"id, $1::uuid":       {"aggregate_id", "SELECT domev.emit('order.placed', $1::uuid)"},
	"payload, $2":        {"payload", "SELECT domev.emit('order.placed', 42, $1)"},
	"payload, $2::jsonb": {"payload", "SELECT domev.emit('order.placed', 42, $1::jsonb)"},
	"in jsonb_build_object, $1::numeric": {"payload->'it'",
		"SELECT domev.emit('order.placed', 42, jsonb_build_object('it', $1::numeric))"},
	"in jsonb_build_object, $1": {"payload->'it'", "SELECT domev.emit('order.placed', 42, jsonb_build_object('it', $1))"},
	"headers":                   {"headers", "SELECT domev.emit('order.placed', 42, '{}', headers => $1)"},
	"event_id":                  {"event_id", "SELECT domev.emit('order.placed', 42, event_id => $1)"},
	"occurred_at":               {"occurred_at AT TIME ZONE 'UTC'", "SELECT domev.emit('order.placed', 42, occurred_at => $1)"},
}

type placed struct {
	Customer int         `json:"customer"`
	Total    json.Number `json:"total"`
}

type trial struct {
	what, label string
	value       any
}

const order = "0199a3c4-7d11-7abc-8def-000000000042"

var tried = []trial{
	{"id, $1", `"A-42"`, "A-42"},
	{"id, $1", `42`, 42},
	{"id, $1", `pgtype.UUID`, uuid(order)},
	{"id, $1::bigint", `42`, 42},
	{"id, $1::bigint", `int64(1) << 40`, int64(1) << 40},
	{"id, $1::uuid", `"0199a3c4-7d11-7abc-8def-000000000042"`, order},
	{"id, $1::uuid", `[16]byte`, uuid(order).Bytes},
	{"payload, $2", `"{\"total\": 63.10}"`, `{"total": 63.10}`},
	{"payload, $2", `[]byte("{\"total\": 63.10}")`, []byte(`{"total": 63.10}`)},
	{"payload, $2", `map[string]any{"total": 63.10}`, map[string]any{"total": 63.10}},
	{"payload, $2::jsonb", `map[string]any{"total": 63.10}`, map[string]any{"total": 63.10}},
	{"payload, $2::jsonb", `placed{7, "63.10"}, with a json.Number`, placed{7, "63.10"}},
	{"payload, $2::jsonb", `"{\"total\": 63.10}"`, `{"total": 63.10}`},
	{"payload, $2::jsonb", `[]byte("{\"total\": 63.10}")`, []byte(`{"total": 63.10}`)},
	{"payload, $2::jsonb", `json.RawMessage("{\"total\": 63.10}")`, json.RawMessage(`{"total": 63.10}`)},
	{"payload, $2::jsonb", `nil`, nil},
	{"payload, $2::jsonb", `"null"`, "null"},
	{"in jsonb_build_object, $1::numeric", `"63.10"`, "63.10"},
	{"in jsonb_build_object, $1::numeric", `pgtype.Numeric{Int: big.NewInt(6310), Exp: -2, Valid: true}`,
		pgtype.Numeric{Int: big.NewInt(6310), Exp: -2, Valid: true}},
	{"in jsonb_build_object, $1::numeric", `63.10`, 63.10},
	{"in jsonb_build_object, $1", `"web"`, "web"},
	{"headers", `map[string]any{"channel": "web"}`, map[string]any{"channel": "web"}},
	{"headers", `nil`, nil},
	{"event_id", `"0199a3c4-7d11-7abc-8def-0000000000aa"`, "0199a3c4-7d11-7abc-8def-0000000000aa"},
	{"occurred_at", `time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)`, time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)},
}

func uuid(text string) (id pgtype.UUID) {
	check(id.Scan(text))
	return id
}

// outcome is what is kept of the event, or the error.
func outcome(ctx context.Context, connection *pgx.Conn, mode pgx.QueryExecMode, t trial) (kept string) {
	var event pgtype.UUID
	err := connection.QueryRow(ctx, given[t.what][1], mode, t.value).Scan(&event)
	var failure *pgconn.PgError
	if errors.As(err, &failure) {
		return failure.Code
	} else if err != nil {
		return "cannot be encoded"
	}
	check(connection.QueryRow(ctx, "SELECT coalesce(("+given[t.what][0]+")::text, 'NULL') FROM "+view+" WHERE event_id = $1", event).Scan(&kept))
	return kept
}

func many(ctx context.Context, connection *pgx.Conn) {
	var events, statements int
	const emit = "SELECT domev.emit('order.placed', $1::bigint, $2::jsonb)"
	batch := &pgx.Batch{}
	for order := range 100 {
		batch.Queue(emit, order, placed{8, "12.50"})
	}
	check(connection.SendBatch(ctx, batch).Close())
	check(connection.QueryRow(ctx, `SELECT count(*) FROM `+view+` WHERE payload->>'customer' = '8'`).Scan(&events))
	check(connection.QueryRow(ctx, "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1", emit).Scan(&statements))
	fmt.Printf("| many | a pgx.Batch of 100 | %d events, %d prepared statement | |\n", events, statements)
}

func main() {
	ctx := context.Background()
	connection, err := pgx.Connect(ctx, os.Getenv("SHOP_URL"))
	check(err)
	for _, t := range tried {
		fmt.Printf("| %s | `%s` | %s | %s |\n", t.what, t.label, outcome(ctx, connection, pgx.QueryExecModeCacheStatement, t),
			outcome(ctx, connection, pgx.QueryExecModeExec, t))
	}
	many(ctx, connection)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
