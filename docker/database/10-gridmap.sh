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
CREATE ROLE gridmap_service NOINHERIT;
CREATE ROLE gridmap_all BYPASSRLS;
CREATE ROLE gridmap_intake BYPASSRLS;
CREATE ROLE gridmap_areas;
CREATE ROLE gridmap_counts;
CREATE ROLE gridmap_leaves;
CREATE ROLE gridmap_partly;
GRANT gridmap_all, gridmap_intake, gridmap_areas, gridmap_counts, gridmap_leaves, gridmap_partly TO gridmap_service;
GRANT gridmap_service TO gridmap;
GRANT TEMPORARY ON DATABASE gridmap TO gridmap_all;
ALTER FUNCTION geometry_overlaps(geometry, geometry) LEAKPROOF;
ALTER FUNCTION ltree_risparent(ltree, ltree) LEAKPROOF;
ALTER FUNCTION _ltree_risparent(ltree[], ltree) LEAKPROOF;
SQL
