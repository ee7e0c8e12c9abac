package peer

import (
	"net/http"
	"strings"
)

// operation is the name that a request's service has for it: of the JSON protocols what X-Amz-Target says (SendMessage,
// UpdateTable), of an Iceberg REST catalog one of the names in rest, of S3 that of its API.
func operation(r *http.Request) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:]
	}
	if strings.Contains(r.URL.Path, "/v1/") {
		if name := rest(r.Method, r.URL.Path); name != "" {
			return name
		}
	}
	return s3Operation(r)
}

// s3Operation names a request to a path-style S3 endpoint.
func s3Operation(r *http.Request) string {
	q := r.URL.Query()
	_, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if r.URL.Path == "/" {
		return "ListBuckets"
	}
	if key == "" {
		switch {
		case r.Method == http.MethodHead:
			return "HeadBucket"
		case r.Method == http.MethodGet && q.Has("location"):
			return "GetBucketLocation"
		case r.Method == http.MethodGet:
			return "ListObjectsV2"
		case r.Method == http.MethodPost && q.Has("delete"):
			return "DeleteObjects"
		case r.Method == http.MethodPut:
			return "CreateBucket"
		}
		return r.Method + " bucket"
	}
	switch r.Method {
	case http.MethodPut:
		switch {
		case q.Has("partNumber"):
			return "UploadPart"
		case r.Header.Get("X-Amz-Copy-Source") != "":
			return "CopyObject"
		}
		return "PutObject"
	case http.MethodPost:
		if q.Has("uploads") {
			return "CreateMultipartUpload"
		}
		return "CompleteMultipartUpload"
	case http.MethodGet:
		return "GetObject"
	case http.MethodHead:
		return "HeadObject"
	case http.MethodDelete:
		if q.Has("uploadId") {
			return "AbortMultipartUpload"
		}
		return "DeleteObject"
	}
	return r.Method
}

// rest names a request to an Iceberg REST catalog by the operation of its specification, without its spelling:
// loadTable for GET …/v1/{prefix}/namespaces/{namespace}/tables/{table}. It is empty for any other request.
func rest(method, path string) string {
	_, path, _ = strings.Cut(path, "/v1/")
	parts := strings.Split(path, "/")
	// The prefix may have any number of parts.
	for len(parts) > 1 && parts[0] != "namespaces" && parts[0] != "oauth" && parts[0] != "transactions" {
		parts = parts[1:]
	}
	shape := parts[0]
	switch {
	case shape == "namespaces" && len(parts) == 2:
		shape = "namespaces/_"
	case shape == "namespaces" && len(parts) > 2:
		shape = parts[2]
		if len(parts) > 3 {
			shape += "/_"
		}
		if len(parts) > 4 {
			shape += "/" + parts[4]
		}
	}
	return map[string]string{
		"GET config":               "getConfig",
		"POST oauth":               "getToken",
		"GET namespaces":           "listNamespaces",
		"POST namespaces":          "createNamespace",
		"GET namespaces/_":         "loadNamespace",
		"HEAD namespaces/_":        "namespaceExists",
		"GET tables":               "listTables",
		"POST tables":              "createTable",
		"GET tables/_":             "loadTable",
		"HEAD tables/_":            "tableExists",
		"POST tables/_":            "updateTable",
		"DELETE tables/_":          "dropTable",
		"POST transactions":        "commitTransaction",
		"POST register":            "registerTable",
		"GET tables/_/credentials": "loadCredentials",
	}[method+" "+shape]
}
