// Package contactsio reads contacts from files and writes them: CSV of the usual
// programs, JSON lines, and vCard 2.1, 3.0 and 4.0.
//
//	r, err := contactsio.NewReader(file, nil)
//	summary, err := contactsio.Import(ctx, svc, key, r, nil)
//	fmt.Println(summary.Created, summary.Refused, summary.Ignored)
//
// [NewReader] finds out the format, the encoding, the separator and the columns, and
// whether lines end with CR LF, LF or CR; [ReadOptions] say otherwise. [Reader.Preview]
// shows what it found. [Import] stores the rows, says which were refused and why, and
// can go on where it was cut off. [Export] writes the contacts of a list.
//
// # Columns
//
// The columns of our own files are named like the fields of a create, and phone_number,
// phone_type, primary and do_not_call of the second number phone_number_2 and so on.
// Tags are separated by semicolons; a backslash in front of one makes it part of the
// tag. Columns of Google, Outlook, HubSpot, Salesforce and Mailchimp are known by
// their names. A column custom_context.NAME or industry_context.NAME is the member NAME
// of that context, as a string. ReadOptions.Map names all others. A column that is not
// known is ignored, and [Summary] names it.
//
// A column do_not_call without a number is about the first number of our own files,
// and about the person of all others: every number of the row is marked. The same
// holds if columns with other names have numbers too, or if the row lacks the number
// that is marked. If there are several such columns, one yes is enough.
//
// # Safety
//
// A file can be of any size and any content. Memory is bounded by two thousand rows of
// at most ReadOptions.MaxRow bytes. Contexts take up to 25 times as much as Go values,
// so give a lower MaxRow for files of strangers. A row has at most 50 e-mail addresses,
// 50 web sites, 1,000 tags and 500 phone numbers. [ImportDoNotCall] holds up to a
// million numbers. If refused rows are written, it also holds the text of the rows of
// these numbers: up to 64 MiB, and in a dry run all of it. A row that is broken is
// refused, and reading goes on. No text is guessed: bytes that are invalid in the
// encoding of the file refuse their row.
package contactsio
