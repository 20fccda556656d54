# One deploy at a time on a host. Each task of Ansible is a program of its own, so nothing here can hold a lock that ends
# with it: the lock is a file that only administrators can make, with the name of its deploy, and it ends by its age.
param([string]$Service, [string]$Release, [int]$Patience, [int]$Lease)
$Ansible.Changed = $false
$path = Join-Path $env:SystemRoot "kraken-fleet-$Service.lock"

function Read-Lock {
    try { [IO.File]::ReadAllText($path) | ConvertFrom-Json } catch { $null }
}

if ($Release) {
    if ((Read-Lock).deploy -eq $Release) { Remove-Item -LiteralPath $path -Force }
    return
}

$deploy = [Guid]::NewGuid().ToString()
$since = [DateTime]::UtcNow.ToString("yyyy-MM-dd HH:mm:ss 'UTC'", [Globalization.CultureInfo]::InvariantCulture)
$mine = @{ deploy = $deploy; user = [Environment]::UserName; since = $since } | ConvertTo-Json -Compress
$deadline = [DateTime]::UtcNow.AddSeconds($Patience)
while ($true) {
    try {
        $file = [IO.StreamWriter]::new([IO.File]::Open($path, 'CreateNew', 'Write', 'None'))
        try { $file.Write($mine) } finally { $file.Dispose() }
        # Two that found the same old lock may each have removed it, the second one the lock of the first.
        Start-Sleep -Seconds 1
        if ((Read-Lock).deploy -eq $deploy) { break }
    } catch [IO.IOException] {
        $age = [DateTime]::UtcNow - [IO.File]::GetLastWriteTimeUtc($path)
        if ($age.TotalSeconds -gt $Lease) {
            Remove-Item -LiteralPath $path -Force -ErrorAction SilentlyContinue
            continue
        }
    }
    if ([DateTime]::UtcNow -ge $deadline) {
        $other = Read-Lock
        $who = if ($other) { "one of $($other.user), since $($other.since)" } else { 'it has not said who it is' }
        $Ansible.Result = @{ deploy = ''; holder = $who; path = $path }
        return
    }
    Start-Sleep -Milliseconds 500
}
$Ansible.Result = @{ deploy = $deploy; holder = ''; path = $path }
