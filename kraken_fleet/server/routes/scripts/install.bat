@echo off
rem Installs the Kraken agent of one server on this machine. The part below the line of dashes is PowerShell.
powershell -NoLogo -NoProfile -ExecutionPolicy Bypass -Command "$text = Get-Content -Raw -LiteralPath '%~f0'; Invoke-Expression $text.Substring($text.LastIndexOf('# -----'))"
exit /b %errorlevel%
# -----
$ErrorActionPreference = 'Stop'
$serverUrl = @SERVER_URL@
$env:KRAKEN_CLICKHOUSE_ADDR = @CLICKHOUSE_ADDR@

$python = (Get-Command 'python.exe').Path
$agent = Join-Path $env:TEMP 'kkagent'
$ProgressPreference = 'SilentlyContinue'
Invoke-WebRequest "$serverUrl/bk/install/agent" -OutFile $agent

$install = Start-Process -PassThru -NoNewWindow -Wait -FilePath $python -ArgumentList "`"$agent`" install -s $serverUrl"
Remove-Item $agent
if ($install.ExitCode -ne 0) { throw 'The Kraken agent could not be installed.' }
Write-Host 'The Kraken agent is installed.'
