package main

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"example.com/contacts"
)

// gorm is GORM's Create with associations, which is one transaction for each
// contact, on pgx, with the tables and as many connections as handwritten. It
// gets valid contacts too.
func (s *postgresServer) gorm() peer {
	return peer{
		name: "GORM, Postgres",
		open: func(ctx context.Context, dir string, _ *world) (target, error) {
			url, err := s.database(ctx, dir)
			if err != nil {
				return nil, err
			}
			config, err := pgx.ParseConfig(url)
			if err != nil {
				return nil, err
			}
			db := stdlib.OpenDB(*config)
			db.SetMaxOpenConns(postgresConns)
			db.SetMaxIdleConns(postgresConns)
			_, err = db.ExecContext(ctx, postgresNormalised)
			if err != nil {
				return nil, errors.Join(err, db.Close())
			}
			g, err := gorm.Open(postgres.New(postgres.Config{Conn: db}), &gorm.Config{PrepareStmt: true, Logger: logger.Discard})
			if err != nil {
				return nil, errors.Join(err, db.Close())
			}
			return postgresGORMTarget{gormTarget{g}}, nil
		},
		count: s.count(countPostgresNormalised),
	}
}

type postgresGORMContact struct {
	Account         uuid.UUID `gorm:"primaryKey;type:uuid"`
	ID              uuid.UUID `gorm:"primaryKey;type:uuid"`
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
	CreatedAt       time.Time           `gorm:"autoCreateTime:false"`
	UpdatedAt       time.Time           `gorm:"autoUpdateTime:false"`
	Phones          []postgresGORMPhone `gorm:"foreignKey:Account,ContactID;references:Account,ID"`
	Tags            []postgresGORMTag   `gorm:"foreignKey:Account,ContactID;references:Account,ID"`
}

type postgresGORMPhone struct {
	N         int64     `gorm:"primaryKey"`
	Account   uuid.UUID `gorm:"type:uuid"`
	ContactID uuid.UUID `gorm:"type:uuid"`
	ID        uuid.UUID `gorm:"type:uuid"`
	Number    string
	Type      string
	IsPrimary bool
	DoNotCall bool
}

type postgresGORMTag struct {
	N         int64     `gorm:"primaryKey"`
	Account   uuid.UUID `gorm:"type:uuid"`
	ContactID uuid.UUID `gorm:"type:uuid"`
	Tag       string
}

// TableName implements GORM's Tabler.
func (postgresGORMContact) TableName() string { return "contacts" }

// TableName implements GORM's Tabler.
func (postgresGORMPhone) TableName() string { return "phones" }

// TableName implements GORM's Tabler.
func (postgresGORMTag) TableName() string { return "tags" }

type postgresGORMTarget struct{ gormTarget }

func (t postgresGORMTarget) create(ctx context.Context, c *contact) error {
	return t.db.WithContext(ctx).Create(newPostgresGORMContact(c.record)).Error
}

func newPostgresGORMContact(r *contacts.ContactRecord) *postgresGORMContact {
	c := &r.Contact
	g := &postgresGORMContact{
		Account: c.AccountID, ID: c.ID, FirstName: c.FirstName, LastName: c.LastName, Email: c.Email, Company: c.Company, Website: c.Website,
		Address: c.Address, City: c.City, State: c.State, ZipCode: c.ZipCode, Country: c.Country, Status: c.Status, Stage: c.Stage, TeamID: c.TeamID,
		CustomContext: r.CustomContext, IndustryContext: r.IndustryContext, CreatedAt: c.CreatedAt, UpdatedAt: c.UpdatedAt,
	}
	for _, p := range c.PhoneNumbers {
		g.Phones = append(g.Phones, postgresGORMPhone{ID: p.ID, Number: p.PhoneNumber, Type: p.PhoneType, IsPrimary: p.Primary, DoNotCall: p.DoNotCall})
	}
	for _, tag := range c.Tags {
		g.Tags = append(g.Tags, postgresGORMTag{Tag: tag})
	}
	return g
}
