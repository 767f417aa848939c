# Do services in C# place orders with their events, by Npgsql and by EF Core through event views?
# shellcheck shell=bash disable=SC2034,SC2154

about='C#: Npgsql, and EF Core through event views'
examples=(csharp-npgsql csharp-efcore)
dotnet=(env "DOTNET_CLI_HOME=$home" "NUGET_PACKAGES=$home/nuget" DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1 dotnet)

# shellcheck source-path=SCRIPTDIR source=languages/shop.bash
source "$copy/test/interop/languages/shop.bash"

prepare() {
	local example
	command -v dotnet >/dev/null || skip 'needs the .NET SDK (dotnet)'
	for example in "${examples[@]}"; do
		as_user "${dotnet[@]}" restore "$copy/examples/languages/$example" || skip "NuGet's packages for examples/languages/$example cannot be had"
		as_user "${dotnet[@]}" build --no-restore -c Release -o "$logs/$example" "$copy/examples/languages/$example"
	done
}

check() {
	local example
	start_server
	for example in "${examples[@]}"; do
		check_story "${example#*-}" env "SHOP_CONNECTION=Host=127.0.0.1;Port=$PGPORT;Database=${example#*-};Username=shop_app" \
			"${dotnet[@]}" "$logs/$example/Shop.dll"
	done
}
