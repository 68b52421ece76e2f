CREATE TABLE accounts (
	id VARCHAR(40) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_accounts PRIMARY KEY (id), 
	CONSTRAINT uq_accounts_name UNIQUE (name)
);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE api_keys (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	sha256 BLOB NOT NULL, 
	scopes VARCHAR(200) NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	last_used_at BIGINT, 
	CONSTRAINT pk_api_keys PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE audit (
	id VARCHAR(40) NOT NULL, 
	at BIGINT NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	key_id VARCHAR(40) NOT NULL, 
	action VARCHAR(40) NOT NULL, 
	subject VARCHAR(100) NOT NULL, 
	detail TEXT NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
CREATE TABLE current_voices (
	account_id VARCHAR(40) NOT NULL, 
	voice_id VARCHAR(40), 
	preset VARCHAR(64), 
	changed_at BIGINT NOT NULL, 
	CONSTRAINT pk_current_voices PRIMARY KEY (account_id), 
	CONSTRAINT ck_current_voices_one CHECK ((voice_id IS NULL) <> (preset IS NULL)), 
	CONSTRAINT fk_current_voices_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE, 
	CONSTRAINT fk_current_voices_voice_id_voices FOREIGN KEY(voice_id) REFERENCES voices (id) ON DELETE CASCADE
);
CREATE TABLE idempotency_keys (
	account_id VARCHAR(40) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	request_sha256 VARCHAR(64) NOT NULL, 
	subject VARCHAR(40) NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (account_id, "key"), 
	CONSTRAINT fk_idempotency_keys_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE imported_voices (
	name VARCHAR(64) NOT NULL, 
	digest VARCHAR(32) NOT NULL, 
	imported_at BIGINT NOT NULL, 
	CONSTRAINT pk_imported_voices PRIMARY KEY (name, digest)
);
CREATE INDEX ix_api_keys_account_id ON api_keys (account_id);
CREATE INDEX ix_audit_account_id ON audit (account_id);
CREATE INDEX ix_audit_at ON audit (at);
CREATE INDEX ix_idempotency_keys_at ON idempotency_keys (at);
CREATE INDEX ix_request_log_account_id ON request_log (account_id);
CREATE INDEX ix_request_log_at ON request_log (at);
CREATE INDEX ix_voice_consents_account_id ON voice_consents (account_id);
CREATE INDEX ix_voice_consents_expires_at ON voice_consents (expires_at);
CREATE INDEX ix_voices_consent_id ON voices (consent_id);
CREATE TABLE rate_buckets (
	"key" VARCHAR(100) NOT NULL, 
	tokens DOUBLE NOT NULL, 
	at DOUBLE NOT NULL, 
	CONSTRAINT pk_rate_buckets PRIMARY KEY ("key")
);
CREATE TABLE request_log (
	id VARCHAR(40) NOT NULL, 
	at BIGINT NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	key_id VARCHAR(40) NOT NULL, 
	route VARCHAR(60) NOT NULL, 
	model VARCHAR(100) NOT NULL, 
	voice VARCHAR(64) NOT NULL, 
	format VARCHAR(20) NOT NULL, 
	characters INTEGER NOT NULL, 
	text TEXT, 
	status INTEGER NOT NULL, 
	error VARCHAR(200), 
	first_audio_ms INTEGER, 
	audio_ms INTEGER NOT NULL, 
	total_ms INTEGER NOT NULL, 
	CONSTRAINT pk_request_log PRIMARY KEY (id)
);
CREATE UNIQUE INDEX uq_voices_account_id_name ON voices (account_id, name);
CREATE TABLE versions (
	topic VARCHAR(20) NOT NULL, 
	number BIGINT NOT NULL, 
	CONSTRAINT pk_versions PRIMARY KEY (topic)
);
CREATE TABLE voice_consent_recordings (
	consent_id VARCHAR(40) NOT NULL, 
	media_type VARCHAR(40) NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_voice_consent_recordings PRIMARY KEY (consent_id), 
	CONSTRAINT fk_voice_consent_recordings_consent_id_voice_consents FOREIGN KEY(consent_id) REFERENCES voice_consents (id) ON DELETE CASCADE
);
CREATE TABLE voice_consents (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	language VARCHAR(35) NOT NULL, 
	kind VARCHAR(20) NOT NULL, 
	statement TEXT NOT NULL, 
	recording_sha256 VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	revoked_at BIGINT, 
	CONSTRAINT pk_voice_consents PRIMARY KEY (id), 
	CONSTRAINT fk_voice_consents_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE
);
CREATE TABLE voice_data (
	voice_id VARCHAR(40) NOT NULL, 
	data BLOB NOT NULL, 
	CONSTRAINT pk_voice_data PRIMARY KEY (voice_id), 
	CONSTRAINT fk_voice_data_voice_id_voices FOREIGN KEY(voice_id) REFERENCES voices (id) ON DELETE CASCADE
);
CREATE TABLE voices (
	id VARCHAR(40) NOT NULL, 
	account_id VARCHAR(40) NOT NULL, 
	name VARCHAR(64) NOT NULL, 
	shared BOOLEAN NOT NULL, 
	language VARCHAR(35), 
	family VARCHAR(20) NOT NULL, 
	description TEXT NOT NULL, 
	consent_id VARCHAR(40), 
	digest VARCHAR(32) NOT NULL, 
	created_at BIGINT NOT NULL, 
	gone_at BIGINT, 
	gone_because VARCHAR(40), 
	CONSTRAINT pk_voices PRIMARY KEY (id), 
	CONSTRAINT fk_voices_account_id_accounts FOREIGN KEY(account_id) REFERENCES accounts (id) ON DELETE CASCADE, 
	CONSTRAINT fk_voices_consent_id_voice_consents FOREIGN KEY(consent_id) REFERENCES voice_consents (id)
);
