// How does a service with pgx place an order with its event?  In one transaction, which is tried again when PostgreSQL says so.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Whom the transaction is for: headers of each of its events.
type caller struct {
	User        string `json:"user"`
	Traceparent string `json:"traceparent"`
}

// transaction does the work in one transaction; it may do it several times.
func transaction(ctx context.Context, pool *pgxpool.Pool, by caller, work func(pgx.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			// true: SET LOCAL, gone at the end of the transaction, whoever is given the connection then
			if _, err := tx.Exec(ctx, "SELECT set_config('domev.context', ($1::jsonb)::text, true)", by); err != nil {
				return err
			}
			return work(tx)
		})
		var failure *pgconn.PgError
		if attempt == 5 || !errors.As(err, &failure) || failure.Code != "40001" && failure.Code != "40P01" {
			return err
		}
	}
}

// placeOrder takes the total as text: Go has no decimals, and a float64 would lose the last zero.
func placeOrder(ctx context.Context, tx pgx.Tx, customer int, total string) (order int64, err error) {
	err = tx.QueryRow(ctx, "INSERT INTO orders (customer, total) VALUES ($1, $2) RETURNING id", customer, total).Scan(&order)
	if err == nil {
		_, err = tx.Exec(ctx, `SELECT domev.emit('order.placed', $1::bigint,
			jsonb_build_object('customer', $2::int, 'total', $3::numeric), aggregate_version => 1)`, order, customer, total)
	}
	return order, err
}

// cancelOrder may be called again with the same command: the UPDATE changes nothing then, nor does emit.
func cancelOrder(ctx context.Context, tx pgx.Tx, command string, order int64, reason string) (event string, err error) {
	if _, err = tx.Exec(ctx, "UPDATE orders SET status = 'cancelled' WHERE id = $1", order); err == nil {
		err = tx.QueryRow(ctx, "SELECT domev.emit('order.cancelled', $1::bigint, $2::jsonb, event_id => $3)",
			order, map[string]string{"reason": reason}, command).Scan(&event)
	}
	return event, err
}

func main() {
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, os.Getenv("SHOP_URL"))
	check(err)
	defer pool.Close()
	ann := caller{"ann", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}

	var order int64
	check(transaction(ctx, pool, ann, func(tx pgx.Tx) (err error) {
		order, err = placeOrder(ctx, tx, 7, "63.10")
		return err
	}))
	fmt.Println("placed", order)

	command := "0199a3c4-7d11-7abc-8def-000000000042" // the client's, made before it first asked
	for range 2 {
		var event string
		check(transaction(ctx, pool, ann, func(tx pgx.Tx) (err error) {
			event, err = cancelOrder(ctx, tx, command, order, "too late")
			return err
		}))
		fmt.Println("cancelled by", event)
	}

	fmt.Println("not placed:", transaction(ctx, pool, ann, func(tx pgx.Tx) error {
		if _, err := placeOrder(ctx, tx, 8, "12.50"); err != nil {
			return err
		}
		return errors.New("payment was declined")
	}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
