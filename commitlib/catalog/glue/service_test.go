package glue_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// service is Glue in this process, as strict as AWS documents it: UpdateTable replaces the whole entry, refuses a
// version id that is not the entry's, and members or texts that the API does not take. Its version ids are not
// consecutive.
type service struct {
	mu        sync.Mutex // protects all below
	databases map[string]map[string]any
	tables    map[string]map[string]any
	version   int
}

// newService starts one and returns its address.
func newService(t *testing.T) (*service, string) {
	t.Helper()
	s := &service{databases: map[string]map[string]any{}, tables: map[string]map[string]any{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// refusal is an error answer.
type refusal struct{ code, message string }

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "request-1")
	op, _ := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "AWSGlue.")
	auth := r.Header.Get("Authorization")
	if !strings.HasPrefix(auth, "AWS4-HMAC-SHA256 Credential=") || !strings.Contains(auth, "/us-east-1/glue/aws4_request") ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || r.Method != http.MethodPost || r.URL.Path != "/" {
		refuse(w, refusal{"IncompleteSignatureException", "not a request to Glue"})
		return
	}
	out, bad := s.serve(op, text)
	if bad != nil {
		refuse(w, *bad)
		return
	}
	if json.NewEncoder(w).Encode(out) != nil {
		return // the client is gone
	}
}

func refuse(w http.ResponseWriter, r refusal) {
	w.WriteHeader(http.StatusBadRequest)
	fmt.Fprintf(w, `{"__type":%q,"Message":%q}`, r.code, r.message)
}

func (s *service) serve(op string, text []byte) (any, *refusal) {
	var in struct {
		CatalogID     string `json:"CatalogId"`
		DatabaseName  string
		Name          string
		VersionID     *string `json:"VersionId"`
		SkipArchive   bool
		NextToken     string
		TableInput    map[string]any
		DatabaseInput map[string]any
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, &refusal{"SerializationException", err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	none := map[string]any{}
	switch op {
	case "GetDatabase":
		if db, ok := s.databases[in.Name]; ok {
			return map[string]any{"Database": db}, nil
		}
		return nil, &refusal{"EntityNotFoundException", "Database " + in.Name + " not found."}
	case "CreateDatabase":
		name, _ := in.DatabaseInput["Name"].(string)
		if _, ok := s.databases[name]; ok {
			return nil, &refusal{"AlreadyExistsException", "Database already exists."}
		}
		s.databases[name] = in.DatabaseInput
		return none, nil
	case "GetTable":
		if entry, ok := s.tables[in.DatabaseName+"."+in.Name]; ok {
			return map[string]any{"Table": entry}, nil
		}
		return nil, &refusal{"EntityNotFoundException", "Entity Not Found"}
	case "GetTables":
		return s.page(in.DatabaseName, in.NextToken)
	case "CreateTable", "UpdateTable":
		if bad := badTableInput(in.TableInput); bad != nil {
			return nil, bad
		}
		return none, s.put(op, in.DatabaseName, in.VersionID, in.SkipArchive, in.TableInput)
	}
	return nil, &refusal{"UnknownOperationException", op}
}

func (s *service) put(op, db string, versionID *string, skip bool, in map[string]any) *refusal {
	key := fmt.Sprintf("%s.%s", db, in["Name"])
	old, exists := s.tables[key]
	switch {
	case s.databases[db] == nil, op == "UpdateTable" && !exists:
		return &refusal{"EntityNotFoundException", "Entity Not Found"}
	case op == "CreateTable" && exists:
		return &refusal{"AlreadyExistsException", "Table already exists."}
	case op == "UpdateTable" && versionID == nil:
		return &refusal{"InvalidInputException", "this test wants every update to state a version id"}
	case op == "UpdateTable" && *versionID != old["VersionId"]:
		return &refusal{"ConcurrentModificationException", "Update table failed due to concurrent modifications."}
	case op == "UpdateTable" && !skip:
		return &refusal{"InvalidInputException", "this test wants every update to skip the archive"}
	}
	s.set(key, in)
	return nil
}

// set replaces an entry. The caller holds mu.
func (s *service) set(key string, in map[string]any) {
	s.version += 7
	entry := maps.Clone(in)
	entry["VersionId"], entry["DatabaseName"] = fmt.Sprint(s.version), key[:strings.IndexByte(key, '.')]
	entry["CreateTime"], entry["IsRegisteredWithLakeFormation"] = 1.7e9, false
	s.tables[key] = entry
}

// edit changes an entry as another of Glue's users does.
func (s *service) edit(key string, change func(map[string]any)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := maps.Clone(s.tables[key])
	change(in)
	s.set(key, in)
}

func (s *service) entry(key string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables[key]
}

func (s *service) drop(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tables, key)
}

// page answers two tables at a time.
func (s *service) page(db, token string) (any, *refusal) {
	if s.databases[db] == nil {
		return nil, &refusal{"EntityNotFoundException", "Database " + db + " not found."}
	}
	var list []map[string]any
	next := ""
	for _, key := range slices.Backward(slices.Sorted(maps.Keys(s.tables))) {
		if !strings.HasPrefix(key, db+".") || token != "" && key >= token {
			continue
		}
		if len(list) == 2 {
			next = fmt.Sprintf("%s.%s", db, list[1]["Name"])
			break
		}
		list = append(list, s.tables[key])
	}
	return map[string]any{"TableList": list, "NextToken": next}, nil
}

// badTableInput refuses what the API reference does.
func badTableInput(in map[string]any) *refusal {
	for _, bad := range []string{"VersionId", "DatabaseName", "CreateTime", "UpdateTime", "CatalogId", "IsRegisteredWithLakeFormation"} {
		if _, ok := in[bad]; ok {
			return &refusal{"SerializationException", "TableInput has no member " + bad}
		}
	}
	storage, _ := in["StorageDescriptor"].(map[string]any)
	list, _ := storage["Columns"].([]any)
	for _, c := range list {
		c, _ := c.(map[string]any)
		comment, _ := c["Comment"].(string)
		if len(comment) > 255 || strings.ContainsAny(comment, "\n\r") {
			return &refusal{"ValidationException", fmt.Sprintf("the comment of column %v is longer than 255 or has a line break", c["Name"])}
		}
	}
	if d, _ := in["Description"].(string); len(d) > 2048 {
		return &refusal{"ValidationException", "description is longer than 2048"}
	}
	return nil
}
