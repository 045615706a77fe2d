package main

import (
	"context"
	"strconv"

	"example.com/contacts"
)

type teamsCommand struct {
	List   teamsList   `cmd:"" help:"List the teams of an account."`
	Create teamsCreate `cmd:"" help:"Create a team of an account."`
}

var teamColumns = []column[contacts.Team]{
	{"ID", func(t contacts.Team) string { return strconv.FormatInt(t.ID, 10) }},
	{"CREATED", func(t contacts.Team) string { return clock(t.CreatedAt) }},
	{"NAME", func(t contacts.Team) string { return t.Name }},
}

type teamsList struct{ accountFlag }

func (c *teamsList) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.existing(ctx, admin)
		if err != nil {
			return err
		}
		return list(s.out, admin.Teams(ctx, account), teamColumns...)
	})
}

type teamsCreate struct {
	accountFlag
	Name string `arg:"" help:"Its name, for people."`
	ID   int64  `name:"id" placeholder:"N" help:"Its number within the account. Default: the next one."`
}

func (c *teamsCreate) Run(ctx context.Context, s *session) error {
	return s.asHost(ctx, func(admin *contacts.Admin) error {
		account, err := c.choose(ctx, admin)
		if err != nil {
			return err
		}
		team, err := admin.CreateTeam(ctx, contacts.Team{AccountID: account, ID: c.ID, Name: c.Name})
		if err != nil {
			return err
		}
		return list(s.out, these(*team), teamColumns...)
	})
}
