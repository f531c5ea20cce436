#!/bin/bash
# Run once by the database's image, as its superuser: what the service's role may not make itself.
set -euo pipefail

psql --set ON_ERROR_STOP=1 --set password="$(</run/secrets/database_password)" --dbname postgres <<'SQL'
CREATE ROLE gridmap LOGIN PASSWORD :'password';
CREATE DATABASE gridmap OWNER gridmap TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8';
REVOKE CONNECT, TEMPORARY ON DATABASE gridmap FROM PUBLIC;
\connect gridmap
CREATE EXTENSION postgis;
CREATE EXTENSION ltree;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
SQL
