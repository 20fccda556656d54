-- A database of version 2, the first that is brought up: made by the kraken-fleet of 2026-11-28 (commit 0f51681) over its API and by an agent,
-- then dumped by sqlite3.Connection.iterdump. The administrator's password was known-to-the-tests.
PRAGMA application_id = 1265780332;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE agents (
	name VARCHAR NOT NULL, 
	address VARCHAR NOT NULL, 
	ip_address VARCHAR, 
	state INTEGER NOT NULL, 
	authorized BOOLEAN NOT NULL, 
	disabled BOOLEAN NOT NULL, 
	comment VARCHAR, 
	status_line VARCHAR, 
	last_seen DOUBLE, 
	last_assigned DOUBLE NOT NULL, 
	host_info JSON, 
	job_id INTEGER, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (address), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
INSERT INTO "agents" VALUES('10.0.0.21','10.0.0.21','::ffff:127.0.0.1',0,1,0,NULL,NULL,1.79593642495288705824e+09,1.79593642371966862678e+09,'{"system": "debian-12"}',NULL,1,1.7959364222104771137e+09,NULL);
INSERT INTO "agents" VALUES('10.0.0.22','10.0.0.22','127.0.0.1',0,0,0,NULL,NULL,1.79593642280244517321e+09,0.0,NULL,NULL,2,1.7959364228027291298e+09,NULL);
CREATE TABLE agents_groups (
	name VARCHAR NOT NULL, 
	project_id INTEGER, 
	deployment JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "agents_groups" VALUES('all',NULL,'{}',1,1.79593642075762915605e+09,NULL);
INSERT INTO "agents_groups" VALUES('linux',NULL,'{}',2,1.79593642199138092997e+09,NULL);
CREATE TABLE assignments (
	id INTEGER NOT NULL, 
	agent_id INTEGER NOT NULL, 
	group_id INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (agent_id, group_id), 
	FOREIGN KEY(agent_id) REFERENCES agents (id), 
	FOREIGN KEY(group_id) REFERENCES agents_groups (id)
);
INSERT INTO "assignments" VALUES(1,1,1);
INSERT INTO "assignments" VALUES(2,1,2);
CREATE TABLE branches (
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	branch_name VARCHAR NOT NULL, 
	env_vars JSON NOT NULL, 
	user_data JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "branches" VALUES(1,'Master','master','{}','{}',1,1.79593642075811147683e+09,NULL);
INSERT INTO "branches" VALUES(2,'main','main','{}','{}',2,1.79593642307109689713e+09,NULL);
CREATE TABLE flows (
	branch_id INTEGER NOT NULL, 
	kind INTEGER NOT NULL, 
	state INTEGER NOT NULL, 
	finished DOUBLE, 
	branch_name VARCHAR NOT NULL, 
	label VARCHAR, 
	args JSON NOT NULL, 
	seq JSON NOT NULL, 
	user_data JSON NOT NULL, 
	"trigger" JSON, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(branch_id) REFERENCES branches (id)
);
INSERT INTO "flows" VALUES(2,0,2,1.79593642504025411601e+09,'main',NULL,'{"KK_FLOW_SEQ": "1", "KK_CI_DEV_FLOW_SEQ": "1", "KK_FLOW_TYPE": "CI", "KK_BRANCH": "main", "branch": "main"}','{"shared": 1, "own": 1}','{}',NULL,1,1.79593642343336892122e+09,NULL);
CREATE TABLE jobs (
	run_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	state INTEGER NOT NULL, 
	completion_status INTEGER, 
	assigned DOUBLE, 
	started DOUBLE, 
	finished DOUBLE, 
	completed DOUBLE, 
	timeout INTEGER NOT NULL, 
	covered BOOLEAN NOT NULL, 
	notes VARCHAR, 
	system_id INTEGER NOT NULL, 
	group_id INTEGER NOT NULL, 
	agent_id INTEGER, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run_id) REFERENCES runs (id), 
	FOREIGN KEY(system_id) REFERENCES systems (id), 
	FOREIGN KEY(group_id) REFERENCES agents_groups (id), 
	FOREIGN KEY(agent_id) REFERENCES agents (id)
);
INSERT INTO "jobs" VALUES(1,'build',5,0,1.79593642371966862678e+09,1.79593642401447749134e+09,1.79593642495510864257e+09,1.79593642495510864257e+09,600,0,NULL,1,2,1,1,1.79593642364799070364e+09,NULL);
CREATE TABLE log_lines (
	id INTEGER NOT NULL, 
	time DOUBLE NOT NULL, 
	seq INTEGER NOT NULL, 
	message VARCHAR NOT NULL, 
	service VARCHAR NOT NULL, 
	host VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	lineno INTEGER NOT NULL, 
	level VARCHAR NOT NULL, 
	branch INTEGER NOT NULL, 
	flow_kind INTEGER NOT NULL, 
	flow INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	job INTEGER NOT NULL, 
	tool VARCHAR NOT NULL, 
	step INTEGER NOT NULL, 
	agent INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "log_lines" VALUES(1,1795773600.0,0,'line 0 of the build','agent','10.0.0.21','',0,'INFO',2,0,1,1,1,'shell_v1',0,1);
INSERT INTO "log_lines" VALUES(2,1795773600.0,0,'line 1 of the build','agent','10.0.0.21','',0,'INFO',2,0,1,1,1,'shell_v1',0,1);
INSERT INTO "log_lines" VALUES(3,1795773600.0,0,'line 2 of the build','agent','10.0.0.21','',0,'INFO',2,0,1,1,1,'shell_v1',0,1);
CREATE TABLE projects (
	name VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	webhooks JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id)
);
INSERT INTO "projects" VALUES('Demo','This is a demo project.','{}',1,1.79593642069044375419e+09,NULL);
INSERT INTO "projects" VALUES('p3','','{}',2,1.79593642295100903508e+09,NULL);
CREATE TABLE runs (
	flow_id INTEGER NOT NULL, 
	stage_id INTEGER NOT NULL, 
	state INTEGER NOT NULL, 
	started DOUBLE, 
	finished DOUBLE, 
	processed_at DOUBLE, 
	label VARCHAR, 
	note VARCHAR, 
	reason VARCHAR NOT NULL, 
	args JSON NOT NULL, 
	seq JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(flow_id) REFERENCES flows (id), 
	FOREIGN KEY(stage_id) REFERENCES stages (id)
);
INSERT INTO "runs" VALUES(1,2,3,1.79593642354220414157e+09,1.7959364249863035679e+09,1.7959364249863035679e+09,NULL,NULL,'manual','{"KK_FLOW_SEQ": "1", "KK_CI_DEV_FLOW_SEQ": "1", "KK_FLOW_TYPE": "CI", "KK_BRANCH": "main", "branch": "main", "KK_RUN_SEQ": "1", "KK_CI_DEV_RUN_SEQ": "1"}','{"shared": 1, "own": 1}',1,1.79593642350914788246e+09,NULL);
CREATE TABLE secrets (
	project_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	data JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(project_id) REFERENCES projects (id)
);
INSERT INTO "secrets" VALUES(2,'token','simple','{"secret": "hidden"}',1,1.79593642509727621078e+09,NULL);
CREATE TABLE sequences (
	id INTEGER NOT NULL, 
	branch_id INTEGER NOT NULL, 
	stage_id INTEGER, 
	kind VARCHAR NOT NULL, 
	value INTEGER NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(branch_id) REFERENCES branches (id), 
	FOREIGN KEY(stage_id) REFERENCES stages (id)
);
INSERT INTO "sequences" VALUES(1,1,NULL,'shared',0);
INSERT INTO "sequences" VALUES(2,1,NULL,'ci',0);
INSERT INTO "sequences" VALUES(3,1,NULL,'dev',0);
INSERT INTO "sequences" VALUES(4,2,NULL,'shared',1);
INSERT INTO "sequences" VALUES(5,2,NULL,'ci',1);
INSERT INTO "sequences" VALUES(6,2,NULL,'dev',0);
INSERT INTO "sequences" VALUES(7,2,2,'shared',1);
INSERT INTO "sequences" VALUES(8,2,2,'ci',1);
CREATE TABLE sessions (
	token_hash VARCHAR NOT NULL, 
	user_id INTEGER NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (token_hash), 
	FOREIGN KEY(user_id) REFERENCES users (id)
);
INSERT INTO "sessions" VALUES('e51a3c20835fec6462aa654ba1c74412b7b99fb0356597079a8ee792657cb9b5',1,1,1.79593642176680970195e+09,NULL);
CREATE TABLE settings (
	"group" VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	automatic BOOLEAN NOT NULL, 
	PRIMARY KEY ("group", name)
);
INSERT INTO "settings" VALUES('general','server_url','text','http://127.0.0.1:34571',1);
INSERT INTO "settings" VALUES('general','minio_addr','text','',0);
INSERT INTO "settings" VALUES('general','clickhouse_addr','text','127.0.0.1:52369',1);
INSERT INTO "settings" VALUES('general','clickhouse_log_ttl','integer','6',0);
INSERT INTO "settings" VALUES('notification','smtp_server','text','',0);
INSERT INTO "settings" VALUES('notification','smtp_tls','boolean','False',0);
INSERT INTO "settings" VALUES('notification','smtp_from','text','',0);
INSERT INTO "settings" VALUES('notification','smtp_user','text','',0);
INSERT INTO "settings" VALUES('notification','smtp_password','password','',0);
INSERT INTO "settings" VALUES('notification','slack_token','password','',0);
INSERT INTO "settings" VALUES('monitoring','sentry_dsn','password','',0);
INSERT INTO "settings" VALUES('cloud','aws_access_key','text','',0);
INSERT INTO "settings" VALUES('cloud','aws_secret_access_key','password','',0);
INSERT INTO "settings" VALUES('cloud','azure_subscription_id','text','',0);
INSERT INTO "settings" VALUES('cloud','azure_tenant_id','text','',0);
INSERT INTO "settings" VALUES('cloud','azure_client_id','text','',0);
INSERT INTO "settings" VALUES('cloud','azure_client_secret','password','',0);
INSERT INTO "settings" VALUES('cloud','k8s_api_server_url','text','',0);
INSERT INTO "settings" VALUES('cloud','k8s_namespace','text','kraken',0);
INSERT INTO "settings" VALUES('cloud','k8s_token','password','',0);
INSERT INTO "settings" VALUES('idp','ldap_enabled','boolean','False',0);
INSERT INTO "settings" VALUES('idp','ldap_server','text','',0);
INSERT INTO "settings" VALUES('idp','bind_dn','text','',0);
INSERT INTO "settings" VALUES('idp','bind_password','password','',0);
INSERT INTO "settings" VALUES('idp','base_dn','text','',0);
INSERT INTO "settings" VALUES('idp','search_filter','text','',0);
INSERT INTO "settings" VALUES('idp','google_enabled','boolean','False',0);
INSERT INTO "settings" VALUES('idp','google_client_id','text','',0);
INSERT INTO "settings" VALUES('idp','google_client_secret','password','',0);
INSERT INTO "settings" VALUES('idp','microsoft_enabled','boolean','False',0);
INSERT INTO "settings" VALUES('idp','microsoft_client_id','text','',0);
INSERT INTO "settings" VALUES('idp','microsoft_client_secret','password','',0);
INSERT INTO "settings" VALUES('idp','github_enabled','boolean','False',0);
INSERT INTO "settings" VALUES('idp','github_client_id','text','',0);
INSERT INTO "settings" VALUES('idp','github_client_secret','password','',0);
INSERT INTO "settings" VALUES('idp','auth0_enabled','boolean','False',0);
INSERT INTO "settings" VALUES('idp','auth0_client_id','text','',0);
INSERT INTO "settings" VALUES('idp','auth0_client_secret','password','',0);
INSERT INTO "settings" VALUES('idp','auth0_openid_config_url','text','',0);
CREATE TABLE stages (
	branch_id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	description VARCHAR, 
	enabled BOOLEAN NOT NULL, 
	schema_code VARCHAR NOT NULL, 
	schema JSON NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	FOREIGN KEY(branch_id) REFERENCES branches (id)
);
INSERT INTO "stages" VALUES(1,'Tests','This is a stage of tests.',1,'def stage(ctx):
    return {''parent'': ''root'', ''triggers'': {''parent'': True}, ''parameters'': [], ''configs'': [], ''jobs'': [{''name'': ''hello world'', ''steps'': [{''tool'': ''shell'', ''cmd'': "echo ''hello world''"}], ''environments'': [{''system'': ''any'', ''agents_group'': ''all'', ''config'': ''default''}]}]}
','{"parent": "root", "triggers": {"parent": true}, "parameters": [], "configs": [], "jobs": [{"name": "hello world", "steps": [{"tool": "shell", "cmd": "echo ''hello world''"}], "environments": [{"system": "any", "agents_group": "all", "config": "default"}]}]}',1,1.79593642079792881012e+09,NULL);
INSERT INTO "stages" VALUES(2,'s',NULL,1,'def stage(ctx):
    return {''parent'': ''root'', ''jobs'': [{''name'': ''build'', ''timeout'': 600, ''steps'': [{''tool'': ''shell'', ''cmd'': ''make''}], ''environments'': [{''system'': ''any'', ''agents_group'': ''linux'', ''config'': ''c''}]}]}
','{"parent": "root", "jobs": [{"name": "build", "timeout": 600, "steps": [{"tool": "shell", "cmd": "make"}], "environments": [{"system": "any", "agents_group": "linux", "config": "c"}]}], "configs": [], "parameters": [], "triggers": {"parent": true}}',2,1.79593642321919083593e+09,NULL);
CREATE TABLE steps (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	"index" INTEGER NOT NULL, 
	tool_id INTEGER NOT NULL, 
	status INTEGER, 
	result JSON, 
	raw JSON NOT NULL, 
	fields JSON NOT NULL, 
	masked JSON NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id), 
	FOREIGN KEY(tool_id) REFERENCES tools (id)
);
INSERT INTO "steps" VALUES(1,1,0,3,2,'{"duration": 1}','{"tool": "shell", "cmd": "make", "when": "#{was_no_error}"}','{"cmd": "make", "when": "True"}','{"cmd": "make", "when": "True"}');
CREATE TABLE systems (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	executor VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name, executor)
);
INSERT INTO "systems" VALUES(1,'any','local');
INSERT INTO "systems" VALUES(2,'debian-12','local');
CREATE TABLE test_results (
	id INTEGER NOT NULL, 
	job_id INTEGER NOT NULL, 
	tool VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	result INTEGER NOT NULL, 
	cmd_line VARCHAR, 
	"values" JSON, 
	PRIMARY KEY (id), 
	FOREIGN KEY(job_id) REFERENCES jobs (id)
);
CREATE TABLE tools (
	id INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	version VARCHAR NOT NULL, 
	location VARCHAR NOT NULL, 
	entry VARCHAR NOT NULL, 
	description VARCHAR NOT NULL, 
	parameters JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "tools" VALUES(1,'local_tool','1','','','','{}');
INSERT INTO "tools" VALUES(2,'git','1','','','','{}');
INSERT INTO "tools" VALUES(3,'shell','1','','','','{}');
INSERT INTO "tools" VALUES(4,'pytest','1','','','','{}');
INSERT INTO "tools" VALUES(5,'rndtest','1','','','','{}');
INSERT INTO "tools" VALUES(6,'artifacts','1','','','','{}');
INSERT INTO "tools" VALUES(7,'pylint','1','','','','{}');
INSERT INTO "tools" VALUES(8,'cloc','1','','','','{}');
INSERT INTO "tools" VALUES(9,'nglint','1','','','','{}');
INSERT INTO "tools" VALUES(10,'cache','1','','','','{}');
INSERT INTO "tools" VALUES(11,'gotest','1','','','','{}');
INSERT INTO "tools" VALUES(12,'junit_collect','1','','','','{}');
INSERT INTO "tools" VALUES(13,'values_collect','1','','','','{}');
INSERT INTO "tools" VALUES(14,'data','1','','','','{}');
CREATE TABLE users (
	name VARCHAR NOT NULL, 
	password VARCHAR NOT NULL, 
	superadmin BOOLEAN NOT NULL, 
	enabled BOOLEAN NOT NULL, 
	id INTEGER NOT NULL, 
	created DOUBLE NOT NULL, 
	deleted DOUBLE, 
	PRIMARY KEY (id), 
	UNIQUE (name)
);
INSERT INTO "users" VALUES('admin','scrypt$16384$8$1$e905b52e3ca1ab2751281d6263507968$afb7813f9ff19ca1bbf66d3efe661076a439720bda0b0d5eaa0f47b07bb88741',1,1,1,1.79593642075679492953e+09,NULL);
CREATE INDEX ix_log_lines_time ON log_lines (time);
CREATE INDEX ix_log_lines_job ON log_lines (job, time, seq);
CREATE INDEX ix_agents_groups_name ON agents_groups (name);
CREATE INDEX ix_flows_branch_id ON flows (branch_id);
CREATE INDEX ix_assignments_group_id ON assignments (group_id);
CREATE INDEX ix_runs_flow_id ON runs (flow_id);
CREATE INDEX ix_runs_state ON runs (state);
CREATE INDEX ix_runs_stage_id ON runs (stage_id);
CREATE INDEX ix_jobs_run_id ON jobs (run_id);
CREATE INDEX ix_jobs_agent_id ON jobs (agent_id);
CREATE INDEX ix_jobs_state ON jobs (state);
CREATE INDEX ix_steps_job_id ON steps (job_id);
CREATE INDEX ix_test_results_job_id ON test_results (job_id);
COMMIT;
