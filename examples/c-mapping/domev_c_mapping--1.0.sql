/* domev_c_mapping--1.0.sql: what CREATE EXTENSION domev_c_mapping makes, a schema and three mapping functions in C */

-- complain if the script is sourced in psql, rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION domev_c_mapping" to load this file. \quit

CREATE SCHEMA c_mapping;
COMMENT ON SCHEMA c_mapping IS 'mappings of the domain event "order.placed", written in C';

-- STRICT: the C code never sees a NULL instead of an event.

CREATE FUNCTION c_mapping.announce_order(domev.domain_event) RETURNS domev.integration_event
	AS 'MODULE_PATHNAME', 'c_mapping_announce_order' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION c_mapping.announce_order(domev.domain_event) IS
	'takes an order.placed; returns one shop.order-placed.v1 with the public members of its payload, NULL (no event) for a test order; raises nothing';

CREATE FUNCTION c_mapping.reserve_items(domev.domain_event) RETURNS SETOF domev.integration_event
	AS 'MODULE_PATHNAME', 'c_mapping_reserve_items' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION c_mapping.reserve_items(domev.domain_event) IS
	'takes an order.placed; returns one shop.item-reserved.v1 per line, ordered by its item; raises 22023 for a line without sku or quantity';

CREATE FUNCTION c_mapping.print_labels(domev.domain_event) RETURNS SETOF domev.integration_event
	AS 'MODULE_PATHNAME', 'c_mapping_print_labels' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION c_mapping.print_labels(domev.domain_event) IS
	'takes an order.placed; returns one warehouse.label.v1 per line, plain text, for the topic "warehouse"; raises 22023 for a line without sku or quantity';

-- domev runs a mapping as its owner whoever emits; nobody else has to call it.
REVOKE ALL ON FUNCTION c_mapping.announce_order(domev.domain_event), c_mapping.reserve_items(domev.domain_event),
	c_mapping.print_labels(domev.domain_event) FROM PUBLIC;
