BEGIN TRANSACTION;
CREATE TABLE changes (
	"key" INTEGER NOT NULL, 
	store INTEGER NOT NULL, 
	revision INTEGER NOT NULL, 
	example VARCHAR(200) NOT NULL, 
	"before" TEXT, 
	"after" TEXT, 
	PRIMARY KEY ("key"), 
	FOREIGN KEY(store) REFERENCES stores ("key")
);
INSERT INTO "changes" VALUES(1,1,1,'bad0bc6e7cfa78c3',NULL,'{"id":"bad0bc6e7cfa78c3","content":"{\"input\":\"I lost my card\",\"output\":\"card_lost\"}","content_hash":"bad0bc6e7cfa78c349b4b9f41602c133","label":null,"status":"approved","deleted":false,"source_hash":null,"text_hash":"32e8c8f54ea0a9f8e387438174cb697b"}');
INSERT INTO "changes" VALUES(2,1,1,'6aab52699179d858',NULL,'{"id":"6aab52699179d858","content":"{\"input\":\"new pin please\",\"output\":\"pin_forgotten\"}","content_hash":"6aab52699179d8586cf8d05bb8b84a5d","label":null,"status":"approved","deleted":false,"source_hash":null,"text_hash":"2c2db982e6e88c974148f43f9489fcfb"}');
CREATE TABLE embedders (
	"key" INTEGER NOT NULL, 
	fingerprint VARCHAR(64) NOT NULL, 
	dim INTEGER NOT NULL, 
	PRIMARY KEY ("key"), 
	UNIQUE (fingerprint)
);
INSERT INTO "embedders" VALUES(1,'hashing-1-8',8);
CREATE TABLE examples (
	"key" INTEGER NOT NULL, 
	store INTEGER NOT NULL, 
	id VARCHAR(200) NOT NULL, 
	content TEXT NOT NULL, 
	content_hash VARCHAR(32) NOT NULL, 
	label TEXT, 
	status VARCHAR(10) NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	revision INTEGER NOT NULL, 
	source_hash VARCHAR(32), 
	text_hash VARCHAR(32) NOT NULL, 
	PRIMARY KEY ("key"), 
	UNIQUE (store, id), 
	FOREIGN KEY(store) REFERENCES stores ("key")
);
INSERT INTO "examples" VALUES(1,1,'bad0bc6e7cfa78c3','{"input":"I lost my card","output":"card_lost"}','bad0bc6e7cfa78c349b4b9f41602c133',NULL,'approved',0,1,NULL,'32e8c8f54ea0a9f8e387438174cb697b');
INSERT INTO "examples" VALUES(2,1,'6aab52699179d858','{"input":"new pin please","output":"pin_forgotten"}','6aab52699179d8586cf8d05bb8b84a5d',NULL,'approved',0,1,NULL,'2c2db982e6e88c974148f43f9489fcfb');
CREATE TABLE revisions (
	store INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (store, number), 
	FOREIGN KEY(store) REFERENCES stores ("key")
);
INSERT INTO "revisions" VALUES(1,0,'d3096ae336690d6c','2026-11-21T17:46:58.269+00:00','root','create');
INSERT INTO "revisions" VALUES(1,1,'a0de4375e0d66d23','2026-11-21T17:46:58.279+00:00','tests','add');
CREATE TABLE schema_version (
	number INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(1);
CREATE TABLE stores (
	"key" INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	revision INTEGER NOT NULL, 
	token VARCHAR(32) NOT NULL, 
	settings JSON NOT NULL, 
	seed JSON, 
	PRIMARY KEY ("key"), 
	UNIQUE (name)
);
INSERT INTO "stores" VALUES(1,'tickets','2d9edae47e103b02',1,'a0de4375e0d66d23','{"description": "", "label": null, "language": "", "license": "", "source": ""}',NULL);
CREATE TABLE template_labels (
	"key" INTEGER NOT NULL, 
	name VARCHAR(200) NOT NULL, 
	label VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE template_versions (
	name VARCHAR(200) NOT NULL, 
	number INTEGER NOT NULL, 
	hash VARCHAR(32) NOT NULL, 
	files JSON NOT NULL, 
	at VARCHAR(32) NOT NULL, 
	"by" VARCHAR(200) NOT NULL, 
	message TEXT NOT NULL, 
	PRIMARY KEY (name, number)
);
CREATE TABLE vectors (
	embedder INTEGER NOT NULL, 
	text_hash VARCHAR(32) NOT NULL, 
	vector BLOB NOT NULL, 
	PRIMARY KEY (embedder, text_hash), 
	FOREIGN KEY(embedder) REFERENCES embedders ("key")
);
INSERT INTO "vectors" VALUES(1,'2c2db982e6e88c974148f43f9489fcfb',X'000000000000000028BB000028370000');
INSERT INTO "vectors" VALUES(1,'32e8c8f54ea0a9f8e387438174cb697b',X'00380000000000B80038000000000038');
CREATE INDEX template_labels_by_name ON template_labels (name, label);
CREATE INDEX examples_by_revision ON examples (store, revision);
CREATE INDEX changes_by_example ON changes (store, example);
CREATE INDEX changes_by_revision ON changes (store, revision);
COMMIT;
