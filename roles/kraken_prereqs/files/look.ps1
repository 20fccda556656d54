# Finds Python 3.8 or newer and Git where a service finds them: on the machine's own path.
$Ansible.Changed = $false
$env:Path = [Environment]::GetEnvironmentVariable('Path', 'Machine')

# A fresh Windows has a python.exe in WindowsApps that only opens a shop.
$pythons = Get-Command python.exe -All -ErrorAction SilentlyContinue | Where-Object { $_.Path -notlike '*\WindowsApps\*' }
$python = $pythons | Where-Object { & $_.Path -c 'import sys; sys.exit(sys.version_info < (3, 8))'; $LASTEXITCODE -eq 0 } |
    Select-Object -First 1
$git = Get-Command git.exe -ErrorAction SilentlyContinue | Select-Object -First 1

$missing = @()
if (-not $python) { $missing += 'python' }
if (-not $git) { $missing += 'git' }
$Ansible.Result = @{ python = "$($python.Path)"; git = "$($git.Path)"; missing = $missing }
