# Does every relative link in the documentation lead to a file, and to a heading that is there?  Needs no server.
use strict;
use warnings;

use File::Basename qw(dirname);
use File::Find;
use Test::More;

# Not documentation of ours, and what builds and runs leave behind.
my %skipped = map { $_ => 1 } qw(.git node_modules target tmp_check tmp_instance results log);

sub slurp
{
	my ($path) = @_;

	open(my $file, '<:encoding(UTF-8)', $path) or die "$path: $!";
	local $/;
	return <$file>;
}

# Every page, by its path from here.
sub pages
{
	my %pages;

	find(
		{
			no_chdir => 1,
			preprocess => sub { return grep { !$skipped{$_} || /^results$/ && $File::Find::dir eq 'test/bench' } @_ },
			wanted => sub { $pages{ $File::Find::name =~ s{^\./}{}r } = slurp($File::Find::name) if $File::Find::name =~ /\.md$/ },
		},
		grep { -e } qw(README.md SECURITY.md CHANGELOG.md doc examples src test));
	return %pages;
}

# What is not text: fenced and indented code, code in a line, comments.
sub without_code
{
	my ($text) = @_;

	$text =~ s/^( *)(```+|~~~+).*?^\1\2[ ]*$//msg;
	$text =~ s/<!--.*?-->//sg;
	$text =~ s/^(?: {4}|\t)(?![ \t]*[-*\d|]).*$//mg;
	$text =~ s/(`+)(?!`)(?:(?!\n\n).)*?(?<!`)\1(?!`)//sg;
	return $text;
}

sub links
{
	my ($text) = @_;
	my $plain = without_code($text);
	my @links = $plain =~ /\]\(\s*<?([^()\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;

	push @links, $plain =~ /^\[[^\]]+\]:\s*(\S+)/mg;
	push @links, $plain =~ /<[^>]*\b(?:href|src)="([^"]+)"/g;
	return @links;
}

# As GitHub makes them of headings: lower case, no punctuation, hyphens for spaces, a number for the second of a name.
sub anchors
{
	my ($text) = @_;
	my (%anchors, %times);

	$text =~ s/^( *)(```+|~~~+).*?^\1\2[ ]*$//msg;
	while ($text =~ /^#{1,6}[ ]+(.*?)[ #]*$/mg)
	{
		my $anchor = lc($1 =~ s/!?\[([^\]]*)\]\([^)]*\)/$1/gr);

		$anchor =~ s/[^\w\- ]//g;
		$anchor =~ tr/ /-/;
		my $n = $times{$anchor}++;
		$anchors{ $n ? "$anchor-$n" : $anchor } = 1;
	}
	$anchors{$_} = 1 foreach $text =~ /<a [^>]*\b(?:id|name)="([^"]+)"/g;
	return \%anchors;
}

# The path without "." and "..", from here; undef if it leads out.
sub resolved
{
	my ($page, $link) = @_;
	my @parts;

	foreach my $part (split('/', ($link =~ m{^/} ? '' : dirname($page) . '/') . $link))
	{
		next if $part eq '' || $part eq '.';
		if ($part ne '..') { push @parts, $part; }
		elsif (@parts) { pop @parts; }
		else { return undef; }
	}
	return join('/', @parts) || '.';
}

# All links that lead nowhere.
sub problems
{
	my (%pages) = @_;
	my %anchors = map { $_ => anchors($pages{$_}) } keys %pages;
	my @problems;

	foreach my $page (sort keys %pages)
	{
		foreach my $link (links($pages{$page}))
		{
			next if $link =~ /^[a-z][a-z0-9+.-]*:/i;
			my ($file, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
			my $path = $file eq '' ? $page : resolved($page, $file =~ s/%20/ /gr);

			if (!defined $path) { push @problems, "$page: $link leads out of the project"; }
			elsif (!exists $pages{$path} && !-e $path) { push @problems, "$page: $link: there is no such file"; }
			elsif (defined $anchor && exists $pages{$path} && !$anchors{$path}{$anchor})
			{
				push @problems, "$page: $link: there is no such heading";
			}
		}
	}
	return @problems;
}

my %pages = pages();
my @problems = problems(%pages);
my $links = grep { !/^[a-z][a-z0-9+.-]*:/i } map { links($_) } values %pages;

is(scalar(@problems), 0, 'every link leads somewhere') or diag(join("\n", @problems));
cmp_ok(scalar(keys %pages), '>=', 50, 'pages were read');
cmp_ok($links, '>=', 250, 'links were found');

# README.md leads to every page of doc/.
my %named = map { (resolved('README.md', s/#.*//r) // '') => 1 } grep { !/^[a-z]+:/ } links($pages{'README.md'});
my @unnamed = grep { m{^doc/[^/]+\.md$} && !$named{$_} } sort keys %pages;
is(join(' ', @unnamed), '', 'README.md links every page of doc/');

# What must turn it red.
foreach my $mutation (
	[ 'a page that is not there', "[a](doc/none.md)", qr{^README\.md: doc/none\.md: there is no such file$}m ],
	[ 'a heading that is not there', "[a](doc/rights.md#none)", qr{^README\.md: doc/rights\.md#none: there is no such heading$}m ],
	[ 'a heading of the page itself', "[a](#none)", qr{^README\.md: #none: there is no such heading$}m ],
	[ 'a picture that is not there', "![a](test/bench/results/none.svg)", qr{^README\.md: test/bench/results/none\.svg: there is no such file$}m ],
	[ 'a picture in HTML', '<img alt="a" src="none.svg">', qr{^README\.md: none\.svg: there is no such file$}m ],
	[ 'a reference', "[a]: none.md", qr{^README\.md: none\.md: there is no such file$}m ],
	[ 'a link that leads out', "[a](../none.md)", qr{^README\.md: \.\./none\.md leads out}m ],
	[ 'a link in a table', "| [a](none.md) | b |", qr{^README\.md: none\.md: there is no such file$}m ],
)
{
	my ($what, $text, $problem) = @$mutation;

	like(join("\n", problems(%pages, 'README.md' => "$pages{'README.md'}\n$text\n")), $problem, $what);
}
is(scalar(problems('a.md' => "# What `x_y` does, and [why](b.md)\n\n[a](#what-x_y-does-and-why)\n\n```\n[a](none.md)\n```\n\n`[a](none.md)`\n", 'b.md' => '')),
	0, 'anchors are made as GitHub makes them, and code has no links');

done_testing();
