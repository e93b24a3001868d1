# Managed by Slipway: hardening_logins. An idle prompt ends after 15 minutes. Those in tmux and screen stay.
if [ -z "${TMUX-}${STY-}${TMOUT-}" ]; then
    TMOUT=900
    readonly TMOUT
    export TMOUT
fi
