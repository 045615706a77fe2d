package main

import (
	"context"
	"errors"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"example.com/contacts"
)

// gormPeer is GORM's Create with associations, which is one transaction for each
// contact, on the tables and the settings of handwritten. It gets valid contacts
// too.
var gormPeer = peer{name: "GORM", open: openGORM, count: countNormalised}

type gormContact struct {
	Account         []byte `gorm:"primaryKey"`
	ID              []byte `gorm:"primaryKey"`
	FirstName       string
	LastName        string
	Email           string
	Company         string
	Website         string
	Address         string
	City            string
	State           string
	ZipCode         string
	Country         string
	Status          string
	Stage           string
	TeamID          int64
	CustomContext   string
	IndustryContext string
	CreatedAt       int64       `gorm:"autoCreateTime:false"`
	UpdatedAt       int64       `gorm:"autoUpdateTime:false"`
	Phones          []gormPhone `gorm:"foreignKey:Account,ContactID;references:Account,ID"`
	Tags            []gormTag   `gorm:"foreignKey:Account,ContactID;references:Account,ID"`
}

type gormPhone struct {
	Row       int64 `gorm:"primaryKey"`
	Account   []byte
	ContactID []byte
	ID        []byte
	Number    string
	Type      string
	IsPrimary bool
	DoNotCall bool
}

type gormTag struct {
	Row       int64 `gorm:"primaryKey"`
	Account   []byte
	ContactID []byte
	Tag       string
}

// TableName implements GORM's Tabler.
func (gormContact) TableName() string { return "contacts" }

// TableName implements GORM's Tabler.
func (gormPhone) TableName() string { return "phones" }

// TableName implements GORM's Tabler.
func (gormTag) TableName() string { return "tags" }

type gormTarget struct{ db *gorm.DB }

func openGORM(ctx context.Context, dir string, _ *world) (target, error) {
	db, err := openNormalised(ctx, dir)
	if err != nil {
		return nil, err
	}
	g, err := gorm.Open(sqlite.Dialector{Conn: db}, &gorm.Config{PrepareStmt: true, Logger: logger.Discard})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return gormTarget{g}, nil
}

func (t gormTarget) create(ctx context.Context, c *contact) error {
	return t.db.WithContext(ctx).Create(newGORMContact(c.record)).Error
}

func newGORMContact(r *contacts.ContactRecord) *gormContact {
	c := &r.Contact
	g := &gormContact{
		Account: c.AccountID[:], ID: c.ID[:], FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Company: c.Company, Website: c.Website,
		Address: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country, Status: c.Status, Stage: c.Stage, TeamID: c.TeamID,
		CustomContext: r.CustomContext, IndustryContext: r.IndustryContext, CreatedAt: c.CreatedAt.UnixMicro(), UpdatedAt: c.UpdatedAt.UnixMicro(),
	}
	for _, p := range c.PhoneNumbers {
		g.Phones = append(g.Phones, gormPhone{ID: p.ID[:], Number: p.PhoneNumber, Type: p.PhoneType, IsPrimary: p.Primary, DoNotCall: p.DoNotCall})
	}
	for _, tag := range c.Tags {
		g.Tags = append(g.Tags, gormTag{Tag: tag})
	}
	return g
}

func (t gormTarget) close() error {
	db, err := t.db.DB()
	if err != nil {
		return err
	}
	return db.Close()
}
