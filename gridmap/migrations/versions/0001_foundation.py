"""Areas by edition, people, events, history, log, users, audit: what is expensive to change later.

Revision ID: 0001
Revises:
"""

from collections.abc import Sequence

from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

AREA_KINDS = (
    "'province','city','county','town','village','precinct','court','procuratorate','justice','section',"
    "'comprehensive','micro','dedicated'"
)
CATEGORIES = "'dispute','police_case','appeal','hazard','service','other'"
STATES = (
    "'unassigned','assigned','accepted','transferred','escalated','suspended','resolved','verified',"
    "'closed','rejected'"
)

GEOGRAPHY = f"""
CREATE TABLE edition (
    id              integer PRIMARY KEY,
    in_force_from   timestamptz NOT NULL UNIQUE,          -- '-infinity' for the first: in force since ever
    published_at    timestamptz NOT NULL DEFAULT now(),
    published_by    text NOT NULL,
    note            text NOT NULL DEFAULT '',
    areas_changed   integer NOT NULL
);

CREATE TABLE area (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text NOT NULL CHECK (kind IN ({AREA_KINDS})),
    code            text NOT NULL CHECK (code ~ '^[A-Za-z0-9_]+$'),
    name            text NOT NULL,
    setting         text CHECK (setting IN ('urban','rural','dedicated')),
    parent          text,
    path            ltree NOT NULL,                       -- codes from the largest area down to this one
    geom            geometry(MultiPolygon, 4326) NOT NULL,
    edition_from    integer NOT NULL REFERENCES edition,
    edition_to      integer REFERENCES edition,           -- null while it lives; else the first without
    touched         boolean NOT NULL DEFAULT false,       -- new row only for a neighbour's vertex
    CHECK (edition_to > edition_from)
);
CREATE UNIQUE INDEX area_living_code ON area (code) WHERE edition_to IS NULL;
CREATE INDEX area_by_code ON area (code, edition_from);
CREATE INDEX area_path ON area USING gist (path);
CREATE INDEX area_geom ON area USING gist (geom);
CREATE INDEX area_living_kind ON area (kind, code) WHERE edition_to IS NULL;
CREATE INDEX area_name_trgm ON area USING gin (name gin_trgm_ops) WHERE edition_to IS NULL;

CREATE TABLE area_code (                                  -- every code ever used: none is used again
    code            text PRIMARY KEY,
    kind            text NOT NULL,
    retired_in      integer REFERENCES edition
);

CREATE TABLE lineage (
    edition         integer NOT NULL REFERENCES edition,
    old_code        text,
    new_code        text,
    change          text NOT NULL CHECK (change IN
                        ('create','split','merge','reshape','rename','retire','import'))
);
CREATE INDEX lineage_old ON lineage (old_code);
CREATE INDEX lineage_new ON lineage (new_code);

CREATE TABLE building (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text NOT NULL,
    name            text NOT NULL DEFAULT '',
    kind            text NOT NULL DEFAULT 'residential',
    households      integer NOT NULL CHECK (households >= 0),
    geom            geometry(Geometry, 4326) NOT NULL,    -- footprint or point
    place           geometry(Point, 4326) NOT NULL,       -- a point inside it: where it belongs
    leaf            text,                                 -- finest nesting area that holds it
    owner           text,                                 -- the grid that owns it (dedicated before micro)
    paths           ltree[] NOT NULL DEFAULT '{{}}',
    valid_from      date NOT NULL DEFAULT '-infinity',
    valid_to        date,
    CHECK (valid_to > valid_from)
);
CREATE UNIQUE INDEX building_living_code ON building (code) WHERE valid_to IS NULL;
CREATE INDEX building_geom ON building USING gist (geom);
CREATE INDEX building_place ON building USING gist (place);
CREATE INDEX building_leaf ON building (leaf) WHERE valid_to IS NULL;

CREATE TABLE household_count (                            -- derived from building; what rates divide by
    code            text PRIMARY KEY,
    households      integer NOT NULL,
    buildings       integer NOT NULL
);

CREATE TABLE street (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text,
    name            text NOT NULL DEFAULT '',
    class           text NOT NULL DEFAULT 'street' CHECK (class IN
                        ('motorway','main','street','lane','path','river','railway')),
    geom            geometry(MultiLineString, 4326) NOT NULL
);
CREATE INDEX street_geom ON street USING gist (geom);
CREATE INDEX street_name_trgm ON street USING gin (name gin_trgm_ops);
"""

PEOPLE = """
CREATE TABLE unit (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text NOT NULL UNIQUE,
    name            text NOT NULL,
    kind            text NOT NULL CHECK (kind IN
                        ('centre','police_station','justice_office','department','committee')),
    retired_at      timestamptz
);

CREATE TABLE worker (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code            text NOT NULL UNIQUE,
    name            text NOT NULL,
    role            text NOT NULL,
    capacity        integer NOT NULL DEFAULT 8 CHECK (capacity > 0),
    unit            integer REFERENCES unit,
    retired_at      timestamptz
);

CREATE TABLE service_area (                               -- who serves which area from when to when
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker          integer REFERENCES worker,
    unit            integer REFERENCES unit,
    area            text NOT NULL,
    valid_from      timestamptz NOT NULL DEFAULT '-infinity',
    valid_to        timestamptz,
    CHECK (num_nonnulls(worker, unit) = 1),
    CHECK (valid_to > valid_from)
);
CREATE INDEX service_area_area ON service_area (area);
CREATE INDEX service_area_worker ON service_area (worker);

CREATE TABLE shift (                                      -- a weekly pattern in local time
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    worker          integer NOT NULL REFERENCES worker,
    weekday         smallint NOT NULL CHECK (weekday BETWEEN 1 AND 7),   -- ISO: Monday = 1
    starts_at       time NOT NULL,
    ends_at         time NOT NULL,                        -- before starts_at: ends on the next day
    valid_from      date NOT NULL DEFAULT '-infinity',
    valid_to        date,
    CHECK (starts_at <> ends_at)
);
CREATE INDEX shift_worker ON shift (worker);
"""

EVENTS = f"""
CREATE TABLE subcategory (
    code            text PRIMARY KEY,
    category        text NOT NULL CHECK (category IN ({CATEGORIES})),
    name_zh         text NOT NULL,
    name_en         text NOT NULL,
    sensitive       boolean NOT NULL DEFAULT false
);

CREATE SEQUENCE event_id AS bigint CACHE 32;

CREATE TABLE event_key (                                  -- idempotency; apart, so event can be partitioned
    source          text NOT NULL,
    external_id     text NOT NULL,
    event           bigint NOT NULL,
    digest          bytea NOT NULL,                       -- of what the source sent
    PRIMARY KEY (source, external_id)
);

CREATE TABLE event (
    id              bigint PRIMARY KEY DEFAULT nextval('event_id'),
    source          text NOT NULL,
    external_id     text NOT NULL,
    category        text NOT NULL CHECK (category IN ({CATEGORIES})),
    subcategory     text REFERENCES subcategory,
    urgency         text NOT NULL DEFAULT 'normal' CHECK (urgency IN ('low','normal','high','urgent')),
    occurred_at     timestamptz NOT NULL,
    reported_at     timestamptz NOT NULL DEFAULT now(),
    geom            geometry(Point, 4326),
    x               double precision,                     -- as it came, in crs
    y               double precision,
    crs             text,
    accuracy_m      real,
    method          text NOT NULL CHECK (method IN
                        ('inside','border','nearest','jurisdiction','stated','none')),
    distance_m      double precision,
    edition         integer NOT NULL REFERENCES edition,  -- under which it was assigned
    owner_then      text,                                 -- whose it was, by the edition of occurred_at
    owner_now       text,                                 -- the grid whose it is; follows publications
    leaf_then       text,                                 -- finest area of the nesting hierarchy
    leaf_now        text,
    paths_then      ltree[] NOT NULL,
    paths_now       ltree[] NOT NULL,
    cell            bigint,                               -- H3 at resolution 12
    status          text NOT NULL CHECK (status IN ({STATES})),
    revision        integer NOT NULL DEFAULT 1,
    worker          integer REFERENCES worker,
    unit            integer REFERENCES unit,
    why             jsonb NOT NULL DEFAULT '[]',          -- [mark, code, parameters] a reason
    accept_due_at   timestamptz,
    resolve_due_at  timestamptz,
    accepted_at     timestamptz,
    resolved_at     timestamptz,
    closed_at       timestamptz,
    CHECK (num_nonnulls(worker, unit) <= 1)
);
CREATE INDEX event_newest ON event (occurred_at DESC, id DESC);
CREATE INDEX event_heat ON event (occurred_at, category) INCLUDE (leaf_now, cell);
-- Sensitive sub-categories are taken off the counts of whoever does not handle them; each an index-only scan.
CREATE INDEX event_subcategory ON event (subcategory, occurred_at) INCLUDE (leaf_now, cell);
CREATE INDEX event_due ON event (resolve_due_at) INCLUDE (closed_at, leaf_now);
CREATE INDEX event_accept_due ON event (accept_due_at) INCLUDE (accepted_at, leaf_now);
CREATE INDEX event_unclosed ON event (status, occurred_at) INCLUDE (leaf_now, category)
    WHERE status <> 'closed';
CREATE INDEX event_leaf ON event (leaf_now, occurred_at DESC, id DESC);
CREATE INDEX event_owner ON event (owner_now, occurred_at DESC, id DESC) WHERE owner_now IS NOT NULL;
CREATE INDEX event_paths ON event USING gist (paths_now);
CREATE INDEX event_geom ON event USING gist (geom);
CREATE INDEX event_worker_open ON event (worker)
    WHERE worker IS NOT NULL AND status IN ('assigned','accepted','transferred','escalated','suspended');
CREATE INDEX event_unit_open ON event (unit)
    WHERE unit IS NOT NULL AND status IN ('assigned','accepted','transferred','escalated','suspended');
CREATE INDEX event_status_open ON event (status, resolve_due_at)
    WHERE status NOT IN ('closed','rejected');

CREATE TABLE event_text (                                 -- what may speak of people: apart, erasable
    event           bigint PRIMARY KEY,
    title           text,
    description     text,
    address         text,
    contact         bytea,                                -- encrypted
    erased_at       timestamptz
);

CREATE TABLE event_history (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event           bigint NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    actor           text NOT NULL,
    action          text NOT NULL,
    status          text NOT NULL,
    edition         integer NOT NULL,
    digest          bytea,                                -- of the text as it was
    detail          jsonb NOT NULL DEFAULT '{{}}'
);
CREATE INDEX event_history_event ON event_history (event, id);

CREATE TABLE change_log (                                 -- what live readers follow
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at              timestamptz NOT NULL DEFAULT now(),
    topic           text NOT NULL,
    event           bigint,
    edition         integer,
    paths           ltree[] NOT NULL DEFAULT '{{}}'
);
CREATE INDEX change_log_transaction ON change_log (transaction);
"""

IDENTITY = """
CREATE TABLE account (
    id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._@-]{1,64}$'),
    display_name    text NOT NULL,
    password_hash   text,
    worker          integer REFERENCES worker,
    source          text,                                 -- what a machine account may post as
    token_version   integer NOT NULL DEFAULT 1,           -- raised to revoke every token
    created_at      timestamptz NOT NULL DEFAULT now(),
    disabled_at     timestamptz
);

CREATE TABLE account_role (
    account         integer NOT NULL REFERENCES account ON DELETE CASCADE,
    role            text NOT NULL CHECK (role IN
                        ('admin','planner','approver','dispatcher','commander','worker','source')),
    area            text NOT NULL,                        -- a code, or * for all
    PRIMARY KEY (account, role, area)
);

CREATE TABLE audit (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at              timestamptz NOT NULL DEFAULT now(),
    actor           text NOT NULL,
    action          text NOT NULL,
    object          text NOT NULL,
    area            text,
    edition         integer,
    reason          text,
    before_digest   bytea,
    after_digest    bytea,
    previous_hash   bytea,
    hash            bytea
);
"""

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON event_history
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON edition
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION keep_then() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what held when an event occurred never changes (event %)', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER keep_then BEFORE UPDATE OF paths_then, owner_then, leaf_then ON event
    FOR EACH ROW WHEN (OLD.paths_then::text IS DISTINCT FROM NEW.paths_then::text
        OR OLD.owner_then IS DISTINCT FROM NEW.owner_then OR OLD.leaf_then IS DISTINCT FROM NEW.leaf_then)
    EXECUTE FUNCTION keep_then();

CREATE FUNCTION keep_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'published boundaries never change (area %, edition %)', OLD.code, OLD.edition_from
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER keep_published BEFORE UPDATE ON area
    FOR EACH ROW WHEN (OLD.edition_to IS NOT NULL OR NEW.edition_to IS NULL
        OR (OLD.kind, OLD.code, OLD.name, OLD.setting, OLD.parent, OLD.path::text, OLD.edition_from) IS DISTINCT
            FROM (NEW.kind, NEW.code, NEW.name, NEW.setting, NEW.parent, NEW.path::text, NEW.edition_from)
        -- every vertex, not the box alone
        OR ST_AsBinary(OLD.geom) IS DISTINCT FROM ST_AsBinary(NEW.geom) OR OLD.touched <> NEW.touched)
    EXECUTE FUNCTION keep_published();
CREATE TRIGGER keep_rows BEFORE DELETE OR TRUNCATE ON area
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

SUBCATEGORIES = """
INSERT INTO subcategory (code, category, name_zh, name_en, sensitive) VALUES
('neighbour','dispute','邻里纠纷','Neighbours',false),
('family','dispute','婚姻家庭','Family',false),
('property_management','dispute','物业纠纷','Property management',false),
('labour','dispute','劳动争议','Labour',false),
('land','dispute','宅基地纠纷','Homestead and land',false),
('debt','dispute','债务纠纷','Debt',false),
('domestic_violence','dispute','家庭暴力','Domestic violence',true),
('theft','police_case','盗窃','Theft',false),
('fraud','police_case','诈骗','Fraud',false),
('brawl','police_case','打架斗殴','Brawl',false),
('traffic','police_case','交通事故','Traffic accident',false),
('nuisance','police_case','扰乱秩序','Public nuisance',false),
('minor','police_case','涉未成年人','Concerning minors',true),
('sexual','police_case','性侵害','Sexual offence',true),
('utilities','appeal','供水供暖','Water and heating',false),
('noise','appeal','噪声扰民','Noise',false),
('parking','appeal','停车管理','Parking',false),
('environment','appeal','环境卫生','Environment',false),
('street_trading','appeal','占道经营','Street trading',false),
('fire','hazard','消防通道占用','Fire lane blocked',false),
('structure','hazard','房屋隐患','Building safety',false),
('electric','hazard','用电隐患','Electrical',false),
('flood','hazard','积水内涝','Flooding',false),
('crisis','hazard','心理危机','Personal crisis',true),
('certificate','service','证明代办','Certificates',false),
('welfare','service','社会救助','Welfare',false),
('care','service','养老助残','Care',false),
('consult','other','政策咨询','Enquiry',false)
"""


def upgrade() -> None:
    for extension in ("postgis", "ltree", "pg_trgm", "btree_gist"):
        op.execute(f"CREATE EXTENSION IF NOT EXISTS {extension}")
    for part in (GEOGRAPHY, PEOPLE, EVENTS, IDENTITY, APPEND_ONLY, SUBCATEGORIES):
        op.execute(part)


def downgrade() -> None:
    op.execute(
        "DROP TABLE audit, account_role, account, change_log, event_history, event_text, event, event_key,"
        " subcategory, shift, service_area, worker, unit, street, household_count, building, lineage,"
        " area_code, area, edition"
    )
    op.execute("DROP SEQUENCE event_id")
    op.execute("DROP FUNCTION refuse_change, keep_then, keep_published")
