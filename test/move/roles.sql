CREATE ROLE move_mapper;
CREATE ROLE move_owner;
CREATE ROLE move_publisher LOGIN REPLICATION;
CREATE ROLE move_app LOGIN IN ROLE move_owner;
