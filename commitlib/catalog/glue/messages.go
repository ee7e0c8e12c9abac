package glue

import "encoding/json"

// The requests and answers of the service that this package uses, with the members that it uses of them.

type getTableRequest struct {
	CatalogID    string `json:"CatalogId,omitempty"`
	DatabaseName string
	Name         string
}

type getTableAnswer struct{ Table json.RawMessage }

type getTablesRequest struct {
	CatalogID    string `json:"CatalogId,omitempty"`
	DatabaseName string
	NextToken    string `json:",omitempty"`
}

type getTablesAnswer struct {
	TableList []struct {
		Name       string
		Parameters map[string]string
	}
	NextToken string
}

type createTableRequest struct {
	CatalogID    string `json:"CatalogId,omitempty"`
	DatabaseName string
	TableInput   tableInput
}

type updateTableRequest struct {
	CatalogID    string `json:"CatalogId,omitempty"`
	DatabaseName string
	TableInput   tableInput
	VersionID    string `json:"VersionId"`
	SkipArchive  bool
}

// tableInput is the entry as it is written, a member each.
type tableInput map[string]any

type getDatabaseRequest struct {
	CatalogID string `json:"CatalogId,omitempty"`
	Name      string
}

type getDatabaseAnswer struct{ Database database }

type createDatabaseRequest struct {
	CatalogID     string `json:"CatalogId,omitempty"`
	DatabaseInput databaseInput
}

type databaseInput struct {
	Name        string
	LocationURI string `json:"LocationUri"`
	Parameters  map[string]string
}

// database is what matters of a database's entry.
type database struct {
	Name              string
	LocationURI       string `json:"LocationUri"`
	FederatedDatabase *struct{ ConnectionType string }
	TargetDatabase    *struct {
		CatalogID    string `json:"CatalogId"`
		DatabaseName string
	}
}
