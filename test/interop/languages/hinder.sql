-- Does a service try again?  The first INSERT of an order, the first COMMIT of one and the first UPDATE fail as a race that was lost.
CREATE SEQUENCE lost_insert;
CREATE SEQUENCE lost_commit;
CREATE SEQUENCE lost_update;

CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
	IF nextval(TG_ARGV[0]) = 1 THEN -- sequences remember it, though the transaction is gone
		RAISE 'this race is lost: %', TG_ARGV[0] USING ERRCODE = TG_ARGV[1];
	END IF;
	RETURN NEW;
END
$$;

CREATE TRIGGER lose_insert BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION lose('lost_insert', '40001');
CREATE TRIGGER lose_update BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION lose('lost_update', '40001');
CREATE CONSTRAINT TRIGGER lose_commit AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW EXECUTE FUNCTION lose('lost_commit', '40P01');
