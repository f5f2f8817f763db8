BEGIN TRANSACTION;
CREATE TABLE evaluations (
    run TEXT NOT NULL,
    model TEXT NOT NULL,
    split TEXT NOT NULL,
    protocol TEXT NOT NULL,
    created TEXT NOT NULL,
    frames INTEGER NOT NULL,
    score REAL,
    checkpoint TEXT,
    data TEXT,
    settings TEXT NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (run, split, protocol)
);
INSERT INTO "evaluations" VALUES('divergentnets-20260302-091400','divergentnets','test','paper','2026-03-02T09:17:00+00:00',3,0.61,'6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041+7a9aa0a85934e2b64f93db21cb80f91442c09a2c26d63c0c5c6d815405412faf','2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f','{"tta": false}','{"polyp": {"n": 3, "score": 0.61, "sd_frames": 0.1}}');
CREATE TABLE runs (
    run TEXT PRIMARY KEY,
    model TEXT NOT NULL,
    status TEXT NOT NULL,
    created TEXT NOT NULL,
    finished TEXT,
    epochs INTEGER NOT NULL DEFAULT 0,
    best_epoch INTEGER,
    best_iou REAL,
    best_f1 REAL,
    parameters INTEGER,
    seed INTEGER,
    settings TEXT NOT NULL,
    versions TEXT NOT NULL,
    data TEXT,
    checkpoint TEXT,
    members TEXT NOT NULL DEFAULT '{}'
);
INSERT INTO "runs" VALUES('fpn-20260302-090000','fpn','finished','2026-03-02T09:01:00+00:00','2026-03-02T09:02:00+00:00',2,2,0.4,0.5,13047362,0,'{"model": "fpn", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}','1f1f1f1f1f1f1f1f+2e2e2e2e2e2e2e2e','6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041','{}');
INSERT INTO "runs" VALUES('unet++-20260302-090300','unet++','finished','2026-03-02T09:04:00+00:00','2026-03-02T09:05:00+00:00',2,2,0.5,0.6,15970594,0,'{"model": "unet++", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}','1f1f1f1f1f1f1f1f+2e2e2e2e2e2e2e2e','7a9aa0a85934e2b64f93db21cb80f91442c09a2c26d63c0c5c6d815405412faf','{}');
INSERT INTO "runs" VALUES('fpn-20260302-090600','fpn','finished','2026-03-02T09:07:00+00:00','2026-03-02T09:08:00+00:00',2,2,0.9,1.0,13047362,0,'{"model": "fpn", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "1/3", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}','1f1f1f1f1f1f1f1f+2e2e2e2e2e2e2e2e','6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041','{}');
INSERT INTO "runs" VALUES('fpn-20260302-090900','fpn','finished','2026-03-02T09:10:00+00:00','2026-03-02T09:11:00+00:00',2,2,0.8,0.9,13047362,0,'{"model": "fpn", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "C3", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}','1f1f1f1f1f1f1f1f+2e2e2e2e2e2e2e2e','6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041','{}');
INSERT INTO "runs" VALUES('unet-20260302-091200','unet','interrupted','2026-03-02T09:13:00+00:00',NULL,1,NULL,NULL,NULL,NULL,0,'{"model": "unet", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "imagenet", "size": 64, "epochs": 200, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}',NULL,NULL,'{}');
INSERT INTO "runs" VALUES('divergentnets-20260302-091400','divergentnets','finished','2026-03-02T09:15:00+00:00','2026-03-02T09:16:00+00:00',0,NULL,NULL,NULL,29017956,0,'{"members": {"fpn": {"model": "fpn", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}, "unet++": {"model": "unet++", "preset": "demo", "nodes": [], "encoder": "resnet18", "encoder_weights": "none", "size": 64, "epochs": 2, "batch_size": 8, "optimiser": "adam", "learning_rate": 0.0001, "weight_decay": 0.0, "schedule": "step", "drop_after": 50, "loss": "single-channel-dice", "augmentation": "paper", "average": 0.0, "precision": "fp32", "compile": false, "seed": 0, "workers": null, "leave_out": "", "fold": "", "inputs": "normalised", "classes": {"names": ["polyp"], "values": [], "chosen": "polyp"}}}}','{"python": "3.11.7", "harness": "0.1.0", "torch": "2.14.1", "segmentation-models-pytorch": "0.6.0", "timm": "1.0.31", "albumentations": "2.0.8", "opencv-python-headless": "5.0.0.93", "numpy": "2.4.6"}','1f1f1f1f1f1f1f1f+2e2e2e2e2e2e2e2e','6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041+7a9aa0a85934e2b64f93db21cb80f91442c09a2c26d63c0c5c6d815405412faf','{"fpn": "fpn-20260302-090000", "unet++": "unet++-20260302-090300"}');
CREATE TABLE schema_versions (room TEXT PRIMARY KEY, version INTEGER);
INSERT INTO "schema_versions" VALUES('submissions',1);
CREATE TABLE scores (
            number INTEGER PRIMARY KEY,
            submission INTEGER REFERENCES submissions (number),
            round TEXT NOT NULL,
            team TEXT NOT NULL,
            model TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            protocol TEXT NOT NULL,
            truth_sha256 TEXT NOT NULL,
            test_set TEXT NOT NULL,
            created TEXT NOT NULL,
            n INTEGER NOT NULL,
            score REAL,
            sd_frames REAL,
            sd_metrics REAL,
            sd_sets REAL,
            iou REAL,
            f1 REAL,
            f2 REAL,
            ppv REAL,
            recall REAL,
            latency_ms REAL,
            settings TEXT NOT NULL,
            UNIQUE (package_sha256, round, team, protocol, truth_sha256, test_set)
        );
INSERT INTO "scores" VALUES(1,1,'2','','divergentnets','workspace/submissions/round-2/divergentnets-20261126-140331.zip','805534ae100efb01721e61f7b42d3d737459459243a96d67b961b975d7ca47a1','official','3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f3f','all','2026-11-26T14:03:31+00:00',1,0.7,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'{}');
CREATE TABLE submissions (
            number INTEGER PRIMARY KEY,
            round TEXT NOT NULL,
            day TEXT NOT NULL,
            created TEXT NOT NULL,
            model TEXT NOT NULL,
            run TEXT NOT NULL,
            package TEXT NOT NULL,
            package_sha256 TEXT NOT NULL,
            checkpoint_sha256 TEXT NOT NULL,
            frames INTEGER NOT NULL,
            latency_ms REAL,
            settings TEXT NOT NULL
        );
INSERT INTO "submissions" VALUES(1,'2','2026-03-02','2026-03-02T09:18:00+00:00','divergentnets','divergentnets-20260302-091400','workspace/submissions/round-2/divergentnets-20261126-140331.zip','805534ae100efb01721e61f7b42d3d737459459243a96d67b961b975d7ca47a1','6219c1192e235dd9242fd576e75be2768b8a59fa8d56f57a4492dff0cdea7041+7a9aa0a85934e2b64f93db21cb80f91442c09a2c26d63c0c5c6d815405412faf',1,1.5,'{"tta": false}');
CREATE INDEX submissions_by_day ON submissions (round, day);
COMMIT;
