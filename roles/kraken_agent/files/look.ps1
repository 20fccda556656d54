# What the role has to know of a Windows host before it changes anything.
param([string]$Server, [int]$Port, [string]$Service, [string]$Directory)
$Ansible.Changed = $false

# No packet is sent: the host's routes say from which of its addresses the agent will come.
$socket = [Net.Sockets.UdpClient]::new()
try {
    $socket.Connect($Server, $Port)
    $address = $socket.Client.LocalEndPoint.Address.ToString()
} finally {
    $socket.Dispose()
}

# A service has the path that it was booted with, so it is given the one of now.
$path = [Environment]::GetEnvironmentVariable('Path', 'Machine')
$env:Path = $path
$pythons = Get-Command python.exe -All -ErrorAction SilentlyContinue | Where-Object { $_.Path -notlike '*\WindowsApps\*' }
$key = "HKLM:\SYSTEM\CurrentControlSet\Services\$Service\Parameters"
$releases = Get-ChildItem -LiteralPath "$Directory\versions" -Directory -ErrorAction SilentlyContinue |
    Sort-Object CreationTime -Descending

$Ansible.Result = @{
    address  = $address
    path     = $path
    python   = "$(($pythons | Select-Object -First 1).Path)"
    command  = "$((Get-ItemProperty -LiteralPath $key -ErrorAction SilentlyContinue).AppParameters)"
    exists   = [bool](Get-Service -Name $Service -ErrorAction SilentlyContinue)
    releases = @($releases | ForEach-Object { $_.Name })
}
