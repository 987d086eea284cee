#include "session.h"

#include <stdlib.h>
#include <string.h>

#define SESSION "sparekey_session"

static void close_session(pam_handle_t *pamh, void *data, int status)
{
    struct session *session = data;
    (void)pamh;
    (void)status;
    if (session == NULL)
        return;
    agent_close(&session->agent);
    explicit_bzero(session, sizeof *session);
    free(session);
}

static struct session *find_session(pam_handle_t *pamh)
{
    const void *data = NULL;
    if (pam_get_data(pamh, SESSION, &data) != PAM_SUCCESS)
        return NULL;
    /* PAM returns our own pointer as const. */
    return (struct session *)(uintptr_t)data;
}

void end_session(pam_handle_t *pamh)
{
    struct session *session = find_session(pamh);
    if (session == NULL)
        return;
    session->granted = false;
    agent_close(&session->agent);
}

struct session *begin_session(pam_handle_t *pamh)
{
    end_session(pamh);
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->agent.socket = -1;
    if (pam_set_data(pamh, SESSION, session, close_session) == PAM_SUCCESS)
        return session;
    free(session);
    return NULL;
}

struct session *granted_session(pam_handle_t *pamh)
{
    const void *user = NULL;
    struct session *session = find_session(pamh);
    if (session == NULL || !session->granted || pam_get_item(pamh, PAM_USER, &user) != PAM_SUCCESS || user == NULL)
        return NULL;
    return strcmp(session->user, user) == 0 ? session : NULL;
}
