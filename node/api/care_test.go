package api

func init() {
	samples["POST /v1/backup"] = struct{ path, contentType, body string }{"/v1/backup", "", ""}
	samples["GET /v1/doctor"] = struct{ path, contentType, body string }{"/v1/doctor", "", ""}
	samples["POST /v1/fsck"] = struct{ path, contentType, body string }{"/v1/fsck?repair=false", "", ""}
}
