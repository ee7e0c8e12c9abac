package warehouse

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"

	"firn/commitlib/awsenv"
	"firn/commitlib/catalog"
	"firn/commitlib/catalog/glue"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/rest"
	"firn/commitlib/objstore"
	"firn/commitlib/objstore/s3store"
)

// Warehouse is an opened store with its catalog. Both are safe for concurrent use.
type Warehouse struct {
	Store   objstore.Store
	Catalog catalog.Catalog

	settings Settings
}

// Open opens what the settings name. It sends nothing.
func Open(_ context.Context, s Settings) (*Warehouse, error) {
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w := &Warehouse{settings: s}
	if !s.OnS3() {
		store, err := openDir(s.Warehouse)
		if err != nil {
			return nil, fmt.Errorf("open warehouse: %w", err)
		}
		w.Store = store
		w.Catalog = objectstore.New(store, objectstore.Config{Logger: s.Logger})
		return w, nil
	}
	account := s.AWS
	if account == nil {
		loaded, err := awsenv.Load(s.Getenv)
		if err != nil {
			return nil, fmt.Errorf("open warehouse: %w", err)
		}
		account = &loaded
	}
	if err := w.openS3(*account); err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	return w, nil
}

// openDir opens a directory that must be there.
func openDir(path string) (objstore.Store, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: mount or make the directory that the tables lie in", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", path)
	}
	return objstore.OpenDir(path)
}

// openS3 opens the store and the catalog. They know each other in both directions: a catalog may keep its metadata in
// the store, and a REST service may hand out the credentials that the store signs with.
func (w *Warehouse) openS3(account aws.Config) error {
	s := w.settings
	cfg := s3store.Config{
		AWS: account, Root: s.Warehouse, Endpoint: awsenv.Endpoint(s.Getenv, "s3"), SSE: s.S3SSE, KMSKey: s.S3KMSKey,
	}
	if s.Warehouse == EveryBucket {
		cfg.Root = "s3:/"
	}
	cfg.PathStyle = s.S3PathStyle == "true" || s.S3PathStyle == "" && cfg.Endpoint != ""
	var service *rest.Catalog
	var err error
	if s.Catalog == REST {
		service, err = rest.New(rest.Config{
			URI: s.CatalogURI, Warehouse: s.CatalogWarehouse, Root: s.Warehouse,
			Token: s.CatalogToken, Credential: s.CatalogCredential, OAuthURI: s.CatalogOAuthURI, Scope: s.CatalogScope,
			SigV4: s.CatalogSigV4, AWS: account, Logger: s.Logger,
		})
		if err != nil {
			return err
		}
		w.Catalog, cfg.Credentials = service, service.Credentials
	}
	store, err := s3store.New(cfg)
	if err != nil {
		return err
	}
	w.Store = store
	switch s.Catalog {
	case ObjectStore:
		w.Catalog = objectstore.New(store, objectstore.Config{Logger: s.Logger})
	case Glue:
		w.Catalog, err = glue.New(glue.Config{
			AWS: account, Endpoint: awsenv.Endpoint(s.Getenv, "glue"), CatalogID: s.CatalogWarehouse, Store: store, Logger: s.Logger,
		})
	case REST:
	default:
		err = errors.New("unknown catalog") // Validate has refused it
	}
	return err
}
